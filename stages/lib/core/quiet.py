"""Keeps what libraries tell of themselves off the terminal; what goes wrong comes through.

And imports the slowest of them faster.
"""

import contextlib
import gc
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
CHATTER = r"(WARNING: All log messages before absl::InitializeLog|[IW]\d{4} \d\d:\d\d:|INFO: |fully_quantize: )"
LAST_WORDS = 2.0  # seconds that they may take
# what Keras imports where it finds it, for charts and wrappers that nobody uses here: 1.1 of 3.5 seconds
NOT_NEEDED = ("matplotlib", "sklearn")
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


@contextlib.contextmanager
def _without(*packages: str) -> Iterator[None]:
    """Within the block, ``packages`` that are not imported yet are as if they were not installed, for all threads."""
    hidden = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None makes an import of it fail
    try:
        yield
    finally:
        for package in hidden:
            del sys.modules[package]


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Within the block, no garbage is looked for; what is there at its end is never looked through again.

    TensorFlow and Keras make half a million objects that stay. To go through them while they are made takes a fifth of
    the seconds of their import.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow and Keras as others do, and has them imported `hushed`, `_uncollected`, without `NOT_NEEDED`."""

    def __init__(self) -> None:
        self._asking: set[str] = set()  # the others, and not this one again

    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if name not in ("keras", "tensorflow") or name in self._asking:
            return None
        self._asking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._asking.remove(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_hushed(module: ModuleType) -> None:
                with hushed(), _uncollected(), _without(*NOT_NEEDED):
                    run(module)

            spec.loader.exec_module = run_hushed  # type: ignore[method-assign]
        return spec


def hush_tensorflow() -> None:
    """Hush the import of TensorFlow, whenever it comes: libraries that it loads speak before they read a level."""
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Finder())
