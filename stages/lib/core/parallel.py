"""Many pieces of work at once, on up to four processors."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from signal import SIG_IGN, SIGINT, signal
from typing import Any

from tqdm.contrib.concurrent import thread_map

from stages.lib.core.errors import UserError
from stages.lib.core.progress import Progress

WORKERS = min(os.cpu_count() or 1, 4)


def in_parallel(function: Callable[..., Any], *items: Iterable[Any], what: str, unit: str = "photo") -> list[Any]:
    """Map ``function`` over ``items`` in `WORKERS` threads, with a progress bar; results keep the items' order.

    Threads serve, because Pillow leaves Python's lock while it decodes, resizes and encodes.
    """
    return thread_map(function, *items, desc=what, unit=unit, max_workers=WORKERS, tqdm_class=Progress)


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Ctrl-C does nothing for as long as this lasts, and nothing ever to the processes that begin meanwhile."""
    before = signal(SIGINT, SIG_IGN)
    try:
        yield
    finally:
        signal(SIGINT, before)


def in_processes(tasks: Iterable[Callable[[], Any]], what: str, unit: str) -> list[Any]:
    """Call all ``tasks`` in `WORKERS` processes, with a progress bar; results keep the tasks' order.

    For what keeps Python's lock, as matplotlib does; to be called in the main thread. What a task raises is raised
    here, and `UserError` where a process was killed. After Ctrl-C, and where a task fails, those that are handed out
    are finished; a second Ctrl-C is ignored.
    """
    pool = ProcessPoolExecutor(WORKERS)
    try:
        with _deaf_to_ctrl_c():  # processes begin here, before the bar, whose thread a fork would not take along
            begun = [pool.submit(task) for task in tasks]
        return [each.result() for each in Progress(begun, desc=what, unit=unit)]
    except KeyboardInterrupt:
        signal(SIGINT, SIG_IGN)  # a second one would interrupt what the caller cleans up
        raise
    except BrokenProcessPool:
        raise UserError(f"{what}: a process was killed. Is there too little memory?") from None
    finally:
        with _deaf_to_ctrl_c():  # which would leave the processes behind
            pool.shutdown(cancel_futures=True)
