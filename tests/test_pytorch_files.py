"""Tensors in PyTorch's older format are read as they are, and nothing in their pickles is run."""

import io
import os
import pickle
import re
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest

from stages.lib.core.errors import UserError
from stages.sources.pytorch_files import FORMAT, MAGIC, read_tensors

MACHINE = {"protocol_version": FORMAT, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Calls:
    """An object whose pickle calls ``function`` when it is read, and then sets its state."""

    def __init__(self, function, *arguments, state=None):
        self.called = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.called


class Storage:
    """Numbers that a pickle refers to."""

    def __init__(self, key: str, values: np.ndarray, type: str = "", **changes):
        self.key, self.values = key, values
        self.type = type or {"float32": "FloatStorage", "int64": "LongStorage"}[values.dtype.name]
        self.changes = changes


class Pickler(pickle.Pickler):
    """Writes a storage as PyTorch does: what it is, and not its numbers."""

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        said = {"kind": "storage", "type": getattr(sys.modules["torch"], obj.type), "key": obj.key, "place": "cpu",
                "count": len(obj.values), "view": None}  # fmt: skip
        return tuple((said | obj.changes).values())


@pytest.fixture(autouse=True)
def torch(monkeypatch):
    """Modules with the names that PyTorch's pickles hold, as long as they are written."""
    module, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for name in ("FloatStorage", "LongStorage", "HalfStorage"):
        setattr(module, name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        """Is named by pickles only."""

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return module


def tensor(storage, offset=0, shape=(6,), strides=(1,)):
    return Calls(sys.modules["torch._utils"]._rebuild_tensor_v2, storage, offset, shape, strides, False, ordered())


def ordered(items=(), **state):
    """An OrderedDict with attributes."""
    made = OrderedDict(items)
    made.__dict__.update(state)
    return made


def write(tensors, *storages, magic=MAGIC, number=FORMAT, machine=MACHINE, protocol=2) -> bytes:
    """A file in PyTorch's older format."""
    file = io.BytesIO()
    for content in (magic, number, machine, tensors, [storage.key for storage in storages]):
        Pickler(file, protocol).dump(content)
    for storage in storages:
        file.write(len(storage.values).to_bytes(8, "little") + storage.values.tobytes())
    return file.getvalue()


SIX = np.arange(6, dtype=np.float32)
NUMBERS = Storage("1", SIX)


def test_a_tensor_is_read_by_its_strides_and_its_offset():
    content = write(
        ordered(
            {
                "as it lies": tensor(NUMBERS, 0, (2, 3), (3, 1)),
                "transposed": tensor(NUMBERS, 0, (3, 2), (1, 3)),
                "a part": tensor(NUMBERS, 1, (2, 2), (3, 1)),
                "every second": tensor(NUMBERS, 1, (3,), (2,)),
                "repeated": tensor(NUMBERS, 5, (2, 2), (0, 0)),
            }
        ),
        NUMBERS,
    )
    received = read_tensors(content)
    expected = {
        "as it lies": [[0, 1, 2], [3, 4, 5]],
        "transposed": [[0, 3], [1, 4], [2, 5]],
        "a part": [[1, 2], [4, 5]],
        "every second": [1, 3, 5],
        "repeated": [[5, 5], [5, 5]],
    }
    assert {name: values.tolist() for name, values in received.items()} == expected
    assert {values.dtype for values in received.values()} == {np.dtype(np.float32)}


def test_a_convolution_kernel_is_read_transposed_as_tensorflow_had_it():
    """(out, in, height, width), of numbers that lie as (height, width, in, out)."""
    kernel = np.random.default_rng(0).normal(size=(3, 5, 2, 4)).astype(np.float32)
    storage = Storage("a", kernel.ravel())
    content = write({"kernel": tensor(storage, 0, (4, 2, 3, 5), (1, 4, 40, 8))}, storage)
    np.testing.assert_array_equal(read_tensors(content)["kernel"], kernel.transpose(3, 2, 0, 1))


@pytest.mark.parametrize("protocol", range(1, pickle.HIGHEST_PROTOCOL + 1))
def test_storages_of_two_types_are_told_apart_and_notes_on_versions_are_left_out(protocol):
    counts = Storage("0", np.array([7, 2**40]))
    tensors = ordered({"count": tensor(counts, 1, (), ()), "six": tensor(NUMBERS)}, _metadata=ordered({"": 1}))
    received = read_tensors(write(tensors, NUMBERS, counts, protocol=protocol))
    assert received["count"].dtype == np.int64
    assert received["count"] == 2**40
    np.testing.assert_array_equal(received["six"], SIX)


@pytest.mark.parametrize("protocol", range(1, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("place", ["magic", "number", "machine", "tensors", "keys"])
@pytest.mark.parametrize(
    ("function", "arguments"),
    [(os.system, ["touch called"]), (eval, ["open('called', 'w')"]), (io.open, ["called", "w"])],
    ids=["system", "eval", "open"],
)
def test_a_pickle_that_calls_a_function_is_refused_and_the_function_is_not_called(
    tmp_path, monkeypatch, function, arguments, place, protocol
):
    monkeypatch.chdir(tmp_path)
    harmful = Calls(function, *arguments)
    parts = {"tensors": {"six": tensor(NUMBERS)}}
    if place == "keys":
        content = write(parts["tensors"], Storage(harmful, SIX), protocol=protocol)
    else:
        content = write(**{**parts, place: {"six": harmful}}, protocol=protocol)
    with pytest.raises(UserError, match=r"tensors and nothing else, but it asks for \w+\.(system|eval|open)$"):
        read_tensors(content)
    assert list(tmp_path.iterdir()) == []
    pickle.loads(pickle.dumps(harmful, protocol))
    assert [file.name for file in tmp_path.iterdir()] == ["called"], "so it would have done harm"


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (1, (6,), (1,)), (7, (1,), (1,)), (-1, (2,), (1,)), (0, (6,), (-1,)), (0, (4,), (2,)),
        (0, (2, 3), (4, 1)), (0, (2, 2), (3, 3)), (0, (2**40,), (1,)), (0, (2,), (2**62,)), (0, (2,), (2**70,)),
    ],
    ids=str,
)  # fmt: skip
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(offset, shape, strides):
    with pytest.raises(UserError, match="must hold tensors and nothing else, but "):
        read_tensors(write({"it": tensor(NUMBERS, offset, shape, strides)}, NUMBERS))


def test_a_file_that_is_cut_short_anywhere_is_refused():
    content = write({"six": tensor(NUMBERS)}, NUMBERS)
    assert list(read_tensors(content)) == ["six"]
    for length in range(len(content)):
        with pytest.raises(UserError, match="must hold tensors and nothing else, but "):
            read_tensors(content[:length])


def tensor_itself():
    return sys.modules["torch._utils"]._rebuild_tensor_v2


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"magic": 1}, "it is of another format, or of a machine with another order of bytes"),
        ({"number": 1002}, "it is of another format, or of a machine with another order of bytes"),
        ({"machine": {**MACHINE, "little_endian": False}}, "it is of another format, or of a machine with another"),
        ({"tensors": {"six": 6}}, "it has a int in the place of the tensor six"),
        ({"tensors": [6]}, "'list' object has no attribute 'items'"),
        ({"tensors": {"six": tensor_itself}}, "it has a type in the place of the tensor six"),
        ({"tensors": {"six": lambda: tensor(SIX.tolist())}}, "it has a list in a storage's place"),
        ({"tensors": {"six": lambda: tensor(Storage("1", SIX, "HalfStorage"))}}, "it asks for torch.HalfStorage"),
        ({"tensors": {"six": lambda: tensor(Storage("1", SIX, kind="module"))}}, "it refers to something else than"),
        ({"tensors": {"six": lambda: tensor(Storage("1", SIX, view=("2", 0, 6)))}}, "it refers to something else than"),
        ({"tensors": {"six": lambda: tensor(Storage("1", SIX, count=5))}}, "its storage 1 should have 5 elements"),
        ({"tensors": {"six": lambda: tensor(Storage("1", SIX, count=-6))}}, "its storage 1 should have -6 elements"),
        ({"tensors": {"six": lambda: tensor(Storage("2", SIX))}}, "'1'"),
    ],
    ids=[
        "magic", "format", "order of bytes", "a number", "a list", "a class", "no storage", "another type",
        "no storage by name", "a view", "another count", "a count below zero", "a storage that is not there",
    ],
)  # fmt: skip
def test_a_file_of_anything_but_tensors_is_refused(parts, reason):
    parts = {"tensors": {"six": tensor(NUMBERS)}} | parts
    if isinstance(parts["tensors"], dict):  # what is made of the names that the fixture made
        parts["tensors"] = {name: each() if callable(each) else each for name, each in parts["tensors"].items()}
    with pytest.raises(UserError, match=f"must hold tensors and nothing else, but {re.escape(reason)}"):
        read_tensors(write(parts.pop("tensors"), NUMBERS, **parts))


def test_a_pickle_can_not_change_what_it_is_read_by():
    """It may set attributes of anything that it can name."""
    named = b"ctorch._utils\n_rebuild_tensor_v2\n"
    spoilt = b"\x80\x02" + named + b"}X\x04\x00\x00\x00readK\x01s" + b"b."  # BUILD with {"read": 1}
    slots = b"\x80\x02" + named + b"N}X\x04\x00\x00\x00readK\x01s\x86" + b"b."  # and with (None, {"read": 1})
    content = write({"six": tensor(NUMBERS)}, NUMBERS)
    start = sum(len(pickle.dumps(each, 2)) for each in (MAGIC, FORMAT, MACHINE))
    for each in (spoilt, slots):
        with pytest.raises(UserError, match="must hold tensors and nothing else, but "):
            read_tensors(content[:start] + each)
        np.testing.assert_array_equal(read_tensors(content)["six"], SIX)
