"""Arrays on disk that are written and read a few rows at a time, so that memory does not grow with their length."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from stages.lib.core.outputs import reserve_room


@contextmanager
def write_rows(
    path: Path, shape: tuple[int, ...], dtype: np.typing.DTypeLike
) -> Iterator[Callable[[np.ndarray], None]]:
    """Give a function that appends rows to the .npy file ``path``, whose array will be of ``shape`` and ``dtype``.

    Raises `UserError` at once where the disk has no room for all of it, and `ValueError` at the end of the block if
    fewer or more rows came than ``shape`` says.
    """
    written = 0
    dtype = np.dtype(dtype)
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.flush()
        reserve_room(path, file.tell() + math.prod(shape) * dtype.itemsize)

        def append(rows: np.ndarray) -> None:
            nonlocal written
            file.write(np.ascontiguousarray(rows, dtype).data)
            written += len(rows)

        yield append
    if written != shape[0]:
        raise ValueError(f"{path} should have {shape[0]} rows. Received: {written}")


class Rows:
    """The rows of a .npy file, or some of them, read from disk whenever they are asked for: ``rows[indices]``.

    The file is mapped for one read at a time, because all that was ever touched of a mapping counts as memory in use.
    """

    def __init__(self, path: Path, only: np.ndarray | None = None):
        """``only`` has the places, int (n,), of the rows that there shall be; None for all of them."""
        self._path, self._only = path, only
        mapped = self._map()
        self.shape = mapped.shape if only is None else (len(only), *mapped.shape[1:])
        self.dtype = mapped.dtype

    def _map(self) -> np.ndarray:
        return np.load(self._path, mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: np.ndarray | slice) -> np.ndarray:
        return self._map()[indices if self._only is None else self._only[indices]]

    def only(self, indices: np.ndarray) -> "Rows":
        """The rows at ``indices``, int (n,), alone; they stay on disk."""
        return Rows(self._path, indices if self._only is None else self._only[indices])
