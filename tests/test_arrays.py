"""Arrays that are written and read a few rows at a time."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_fixtures import ROOT

from stages.lib.core.arrays import Rows, write_rows

MEBIBYTE = 2**20


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32"])
def test_what_was_appended_is_the_array_that_numpy_reads(tmp_path, dtype):
    whole = np.random.default_rng(0).random((7, 3, 2)) * 100
    with write_rows(tmp_path / "a.npy", whole.shape, dtype) as append:
        append(whole[:4])
        append(whole.astype(dtype)[4:6].copy(order="F"))  # in another order in memory
        append(whole[6:])
    np.save(tmp_path / "expected.npy", whole.astype(dtype))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()


@given(st.lists(st.integers(0, 9), max_size=12))
def test_rows_are_those_of_the_array_in_any_order(tmp_path_factory, indices):
    path = tmp_path_factory.mktemp("rows") / "a.npy"
    whole = np.random.default_rng(1).random((10, 4))
    np.save(path, whole)
    rows = Rows(path)
    assert (rows.shape, rows.dtype, len(rows)) == (whole.shape, whole.dtype, 10)
    np.testing.assert_array_equal(rows[np.array(indices, int)], whole[np.array(indices, int)])


def test_some_rows_and_some_of_these_are_those_of_the_array(tmp_path):
    whole = np.random.default_rng(1).random((10, 4))
    np.save(tmp_path / "a.npy", whole)
    some = Rows(tmp_path / "a.npy").only(np.array([9, 2, 2, 5]))
    assert (some.shape, some.dtype, len(some)) == ((4, 4), whole.dtype, 4)
    np.testing.assert_array_equal(some[:], whole[[9, 2, 2, 5]])
    np.testing.assert_array_equal(some[np.array([3, 0])], whole[[5, 9]])
    np.testing.assert_array_equal(some.only(np.array([0, 3]))[:], whole[[9, 5]])


@pytest.mark.parametrize("count", [2, 4])
def test_a_file_with_other_rows_than_announced_is_a_mistake(tmp_path, count):
    with (
        pytest.raises(ValueError, match=f"should have 3 rows. Received: {count}"),
        write_rows(tmp_path / "a.npy", (3, 2), "float32") as append,
    ):
        append(np.zeros((count, 2)))


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory as Linux does")
def test_memory_does_not_grow_with_the_file(tmp_path):
    """A process writes and reads 256 MiB; it must not take a fourth of that more than it took before."""
    program = f"""
import resource
from pathlib import Path
import numpy as np
from stages.lib.core.arrays import Rows, write_rows
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
batch = np.ones((8, {MEBIBYTE}), np.uint8)
path = Path({str(tmp_path / "a.npy")!r})
with write_rows(path, (256, {MEBIBYTE}), np.uint8) as append:
    for _ in range(32):
        append(batch)
rows = Rows(path)
assert sum(int(rows[np.arange(start, start + 8)].sum()) for start in range(0, 256, 8)) == 256 * {MEBIBYTE}
print(peak() - before)
"""
    command = [sys.executable, "-c", program]
    grown = int(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
    assert grown < 64 * MEBIBYTE
