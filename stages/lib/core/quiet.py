"""Keeps what libraries tell of themselves off the terminal; what goes wrong comes through."""

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

# how C++ begins a line that says nothing went wrong: Abseil (TensorFlow, XLA, CUDA), then TensorFlow Lite
CHATTER = r"(WARNING: All log messages before absl::InitializeLog|[IW]\d{4} \d\d:\d\d:|INFO: )"
SIEVE = """
import re, sys
for line in sys.stdin.buffer:
    if not re.match(sys.argv[1].encode(), line):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
"""


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Within the block, take `CHATTER` out of what is written to stderr, by C++ too.

    Another process does it, so that the last words of this one are told even where C++ ends it.
    """
    if sys.stderr is None:  # as where a shell closed it
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    sieve = subprocess.Popen(
        [sys.executable, "-ISc", SIEVE, CHATTER],
        stdin=subprocess.PIPE,
        stdout=kept,
        start_new_session=True,  # or Ctrl-C would end it, too
    )
    with sieve:
        assert sieve.stdin is not None
        os.dup2(sieve.stdin.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


class _TensorFlowFinder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow as others do, and has it imported `hushed`."""

    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)  # its work is done, and the next line would ask it again
        spec = importlib.util.find_spec(name)
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
