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


@given(st.lists(st.integers(-10, 9), max_size=12), st.lists(st.integers(0, 10), max_size=3))
def test_rows_are_those_of_the_arrays_one_after_the_other_in_any_order(tmp_path_factory, indices, cuts):
    folder = tmp_path_factory.mktemp("rows")
    whole = np.random.default_rng(1).random((10, 4))
    paths = []
    for part in np.split(whole, sorted(cuts)):  # some of them empty
        paths.append(folder / f"{len(paths)}.npy")
        np.save(paths[-1], part)
    rows = Rows(*paths)
    assert (rows.shape, rows.dtype, len(rows)) == (whole.shape, whole.dtype, 10)
    np.testing.assert_array_equal(rows[np.array(indices, int)], whole[np.array(indices, int)])
    np.testing.assert_array_equal(rows[2:7], whole[2:7])


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
