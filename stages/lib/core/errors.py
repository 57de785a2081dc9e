"""Mistakes that a person can mend, told in one message instead of a traceback."""

import errno
import sys
from collections.abc import Callable

try:
    import resource
except ImportError:  # Windows has none
    resource = None  # type: ignore[assignment]

# no memory, no more files open at once: what the system says of itself, not of the file
EXHAUSTED = {errno.ENOMEM, errno.EMFILE, errno.ENFILE}
# no room, or a quota that is used up
FULL = (errno.ENOSPC, errno.EDQUOT)
# no room, no right, a read-only disk: nothing that a traceback would help with
REFUSALS = {*FULL, errno.EACCES, errno.EPERM, errno.EROFS, *EXHAUSTED}


class UserError(Exception):
    """What was expected, what came and what to do about it, in words for the person at the keyboard."""


def _peak_memory() -> str:
    """How much memory was in use at most, as a sentence; nothing where the system does not tell."""
    if resource is None:
        return ""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return f"{peak / 1e6:,.0f} MB were in use at most. "


def run(main: Callable[[], int | None]) -> None:
    """Run a script's ``main`` and leave Python with its exit code.

    The exit code is what ``main`` returns (0 where it returns None), 1 where it raises `UserError`, whose message goes
    to stderr, or where the system refuses (`REFUSALS`) or has no memory left, and 130 where Ctrl-C ends it. Any other
    exception is a fault of ours and keeps its traceback.
    """
    try:
        code = main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        place = f" {error.filename}" if error.filename else ""
        print(f"error: the system refuses to write or read{place}: {error.strerror}", file=sys.stderr)
        code = 1
    except Exception as error:
        # by its name, as to import TensorFlow for it would cost every stage two seconds
        if not isinstance(error, MemoryError) and type(error).__name__ != "ResourceExhaustedError":
            raise
        what = (str(error).strip().splitlines() or ["none is left"])[0]
        print(
            f"error: not enough memory: {what}.\n{_peak_memory()}Close other programs or raise the limit, and run it "
            "again.",
            file=sys.stderr,
        )
        code = 1
    except KeyboardInterrupt as stopped:
        kept = f"{stopped}; " if str(stopped) else ""
        print(f"stopped: {kept}run it again to go on from the stages that are done", file=sys.stderr)
        code = 130
    sys.exit(code or 0)
