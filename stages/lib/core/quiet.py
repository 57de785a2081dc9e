"""Keeps what libraries tell of themselves off the terminal; what goes wrong comes through."""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any

# how C++ begins a line that says nothing went wrong: Abseil (TensorFlow, XLA, CUDA), then TensorFlow Lite
CHATTER = r"(WARNING: All log messages before absl::InitializeLog|[IW]\d{4} \d\d:\d\d:|INFO: )"
LAST_WORDS = 2.0  # seconds that they may take
SIEVE = """
import re, sys
for line in sys.stdin.buffer:
    if not re.match(sys.argv[1].encode(), line):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
"""


_LOCK = threading.RLock()  # stderr is the process' own: one thread at a time may take it elsewhere


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Within the block, take `CHATTER` out of what is written to stderr, by C++ too.

    Another process does it, so that the last words of this one are told even where C++ ends it. Where none can be
    started, or stderr is closed, nothing is taken out.
    """
    with _LOCK:
        try:
            kept, sieve = _start_sieve()
        except (OSError, AttributeError):  # stderr is closed, or there are too many files or processes
            yield
            return
        assert sieve.stdin is not None
        os.dup2(sieve.stdin.fileno(), 2)
        try:
            yield
        finally:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            sieve.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):  # as long as a child of this process writes to it
                sieve.wait(LAST_WORDS)


def _start_sieve() -> tuple[int, subprocess.Popen[bytes]]:
    """Give a copy of stderr, and a process that writes to it what is left of its standard input."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        return kept, subprocess.Popen(
            [sys.executable, "-ISc", SIEVE, CHATTER],
            stdin=subprocess.PIPE,
            stdout=kept,
            start_new_session=True,  # or Ctrl-C would end it, too
        )
    except OSError:
        os.close(kept)
        raise


class _TensorFlowFinder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as others do, and has it imported `hushed`."""

    _asks = False

    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if name != "tensorflow" or self._asks:
            return None
        self._asks = True  # the others, and not itself again
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asks = False
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_hushed(module: ModuleType) -> None:
                with hushed():
                    run(module)

            spec.loader.exec_module = run_hushed  # type: ignore[method-assign]
        return spec


def hush_tensorflow() -> None:
    """Hush the import of TensorFlow, whenever it comes: libraries that it loads speak before they read a level."""
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _TensorFlowFinder())
