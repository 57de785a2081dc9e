"""Where the work on single photos is done, in this process or on the nodes of a Ray cluster; with the same results."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from stages.lib.core.errors import UserError
from stages.lib.core.parallel import in_parallel


class Engine(Protocol):
    """Does the same work with each of many files, which know nothing of each other."""

    def map(self, function: Callable[[Path], Any], files: list[Path], what: str, folder: Path) -> list[Any]:
        """Call ``function`` with each of ``files``, and give its results in their order.

        Args:
            function: reads a file; what it returns is small. It may write below ``folder``.
            files: that exist, or did a moment ago.
            what: the progress bar's name.
            folder: an empty one.

        Raises what ``function`` does, and `UserError` where a node can't do the same as this machine, or is lost again
        and again.
        """

    def batches(
        self,
        model: Any,
        work: Callable[[Any, list[Path]], Iterator[Any]],
        sets: list[list[Path]],
        batch_size: int,
        shards: Path | None = None,
    ) -> Iterator[Any]:
        """Give, in order, what ``work(model, files)`` gives for each of ``sets``.

        Args:
            model: anything that can be pickled.
            work: gives one result for each ``batch_size`` of the files that it is called with, and fewer at their end.
                So it may be called with a part of a set that begins at a multiple of ``batch_size``, and makes of it
                the batches that it would have made of the whole: a network's results depend on what else is in a batch.
            sets: of files; no batch spans two of them.
            batch_size: files.
            shards: an empty folder for results that are too large to be sent; None where they are small.

        Raises what ``work`` does, and `UserError` as `map` does.
        """


class LocalEngine:
    """Does it here: on all processors, one batch after the other."""

    def map(self, function: Callable[[Path], Any], files: list[Path], what: str, folder: Path) -> list[Any]:  # noqa: ARG002
        """See `Engine`."""
        return in_parallel(function, files, what=what)

    def batches(
        self,
        model: Any,
        work: Callable[[Any, list[Path]], Iterator[Any]],
        sets: list[list[Path]],
        batch_size: int,  # noqa: ARG002
        shards: Path | None = None,  # noqa: ARG002
    ) -> Iterator[Any]:
        """See `Engine`."""
        for files in sets:
            yield from work(model, files)


@contextmanager
def start_engine(engine: str, address: str) -> Iterator[Engine]:
    """Give the engine that `compute` in params.yaml asks for, and end what had to be started for it.

    Raises `UserError` where Ray is not installed, or there is no cluster at ``address``.
    """
    if engine == "local":
        yield LocalEngine()
        return
    try:
        from stages.lib.engines.ray_engine import ray_engine  # here, as it imports Ray, which nothing else needs
    except ImportError as error:
        raise UserError(
            f"compute.engine: ray takes packages that are not installed ({error}): "
            "pip install -r requirements/ray.txt, or set compute.engine to local."
        ) from None
    with ray_engine(address) as started:
        yield started
