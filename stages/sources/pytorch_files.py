"""Tensors out of files in PyTorch's older format (before 1.6), without PyTorch and without running anything.

Such a file is five pickles, one after the other: a magic number, the format's number, the sizes of C's types on the
machine that wrote it, the tensors, and the keys of their storages. After these stand the storages in the order of their
keys, each an int64 that counts its elements and the elements. A tensor is a view of a storage: where it begins, its
shape, and how many elements lie between two neighbours along each axis. Many a kernel lies transposed there.
"""

import io
import pickle
from typing import Any, NamedTuple

import numpy as np

from stages.lib.core.errors import UserError

MAGIC, FORMAT = 0x1950A86A20F9469CFC6C, 1001


class _Storage(NamedTuple):
    """What a pickle says of a storage that stands further on in the file."""

    dtype: str
    key: str
    elements: int


class _StandIn:
    """In place of what a pickle names; the attributes that it sets, PyTorch's versions of layers, are left out."""

    def __setstate__(self, state: Any) -> None:
        pass


class _Dictionary(_StandIn, dict[str, Any]):
    """In place of `collections.OrderedDict`."""


class _Tensor(_StandIn):
    """In place of PyTorch's function that makes a tensor of a storage."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any):
        if not isinstance(storage, _Storage):
            raise ValueError(f"it has a {type(storage).__name__} in a storage's place")
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def read(self, elements: bytes) -> np.ndarray:
        """The tensor out of its storage; NumPy refuses one that reaches beyond it."""
        dtype = np.dtype(self.storage.dtype)
        strides = [dtype.itemsize * stride for stride in self.strides]
        return np.ndarray(self.shape, dtype, elements, dtype.itemsize * self.offset, strides)


class _TensorsOnly(pickle.Unpickler):
    """Reads tensors within dictionaries, and calls nothing but what is above."""

    allowed = {  # noqa: RUF012
        ("collections", "OrderedDict"): _Dictionary,
        ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise ValueError(f"it asks for {module}.{name}")
        return self.allowed[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, view = pid
        if kind != "storage" or dtype not in ("<f4", "<i8") or view is not None:
            raise ValueError(f"it refers to something else than a storage: {pid}")
        return _Storage(dtype, key, count)


def _read_storages(file: io.BytesIO, keys: list[str], storages: dict[str, _Storage]) -> dict[str, bytes]:
    elements = {}
    for key in keys:
        size = storages[key].elements * np.dtype(storages[key].dtype).itemsize
        count = int.from_bytes(file.read(8), "little")
        elements[key] = file.read(size)
        if count != storages[key].elements or len(elements[key]) != size:
            raise ValueError(
                f"its storage {key} should have {storages[key].elements} elements. Received: {count}, "
                f"{len(elements[key])} bytes"
            )
    return elements


def _read(file: io.BytesIO) -> dict[str, np.ndarray]:
    magic, number, machine = (_TensorsOnly(file).load() for _ in range(3))
    if (magic, number) != (MAGIC, FORMAT) or not machine["little_endian"]:
        raise ValueError("it is of another format, or of a machine with another order of bytes")
    tensors, keys = (_TensorsOnly(file).load() for _ in range(2))
    for name, tensor in tensors.items():
        if not isinstance(tensor, _Tensor):
            raise ValueError(f"it has a {type(tensor).__name__} in the place of the tensor {name}")
    elements = _read_storages(file, keys, {tensor.storage.key: tensor.storage for tensor in tensors.values()})
    return {str(name): tensor.read(elements[tensor.storage.key]) for name, tensor in tensors.items()}


def read_tensors(content: bytes) -> dict[str, np.ndarray]:
    """Read a file of named float32 and int64 tensors; nothing that its pickles name is imported or run.

    Raises `UserError` where it holds anything else.
    """
    try:
        return _read(io.BytesIO(content))
    except MemoryError:
        raise
    except Exception as error:  # a pickle is a program, and fails in as many ways
        raise UserError(f"A file of PyTorch's older format must hold tensors and nothing else, but {error}") from None
