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
    """The rows of one or more .npy files one after the other, read from disk whenever asked for: ``rows[indices]``.

    A file is mapped for one read at a time, because all that was ever touched of a mapping counts as memory in use.
    """

    def __init__(self, *paths: Path):
        """``paths`` have arrays that differ in nothing but how many rows they have."""
        arrays = [self._map(path) for path in paths]
        self._paths = paths
        self._ends = np.cumsum([len(array) for array in arrays])
        self.shape = (int(self._ends[-1]), *arrays[0].shape[1:])
        self.dtype = arrays[0].dtype

    @staticmethod
    def _map(path: Path) -> np.ndarray:
        return np.load(path, mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: np.ndarray | slice) -> np.ndarray:
        places = np.arange(len(self))[indices]
        rows = np.empty((len(places), *self.shape[1:]), self.dtype)
        of_file = np.searchsorted(self._ends, places, side="right")
        for number in np.unique(of_file):
            array, here = self._map(self._paths[number]), of_file == number
            rows[here] = array[places[here] - (self._ends[number] - len(array))]
        return rows
