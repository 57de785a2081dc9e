"""The same work with each of many things, on all processors."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from tqdm.contrib.concurrent import thread_map

from stages.lib.core.progress import Progress

WORKERS = min(os.cpu_count() or 1, 4)


def in_parallel(function: Callable[..., Any], *items: Iterable[Any], what: str, unit: str = "photo") -> list[Any]:
    """Map ``function`` over ``items`` in `WORKERS` threads, with a progress bar; results keep the items' order.

    Threads serve, because Pillow leaves Python's lock while it decodes, resizes and encodes.
    """
    return thread_map(function, *items, desc=what, unit=unit, max_workers=WORKERS, tqdm_class=Progress)
