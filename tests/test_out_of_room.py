"""A full disk and a memory limit: told with what was needed, nothing left half-done, and the next run is right."""

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from small_classifiers import small_classifier

from stages import prepare
from stages.lib.core.arrays import write_rows
from stages.lib.core.errors import UserError, run
from stages.lib.core.outputs import whole_file
from stages.lib.networks.classifiers import scratch_network
from stages.lib.networks.model_files import save_classifier

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 10**6
NO_ROOM = (
    r"no room on the disk for {}: ([\d.]+) MB went in, and it needs (.*); [\d.]+ MB are free\. Make room and run it "
    r"again; nothing that was there before is lost\."
)


class Disk:
    """A file system of its own in memory, with little room."""

    def __init__(self, root, size):
        self.root = root
        self.mount(f"size={size}")

    def mount(self, options):
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.root], check=True, capture_output=True)

    def enlarge(self, size):
        self.mount(f"remount,size={size}")

    def fill(self, room):
        """Leave ``room`` bytes."""
        free = os.statvfs(self.root)
        (self.root / "filling").write_bytes(bytes(free.f_bavail * free.f_frsize - room))


@pytest.fixture
def small_disk(tmp_path):
    root = tmp_path / "disk"
    root.mkdir()
    try:
        disk = Disk(root, MEGABYTE)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system can't be mounted here, which takes root: {error}")
    yield disk
    subprocess.run(["umount", "--lazy", root], check=True)


@pytest.fixture
def dogs(tmp_path, draw_photo, write_params):
    """Two breeds of photos, and params.yaml; the prepared pictures take more than a megabyte."""
    for breed in ("Cairn", "Dingo"):
        (tmp_path / "dogs" / breed).mkdir(parents=True)
        for number in range(30):
            photo = draw_photo(number + 100 * (breed == "Dingo"), (160, 160))
            photo.save(tmp_path / "dogs" / breed / f"{number}.jpg")
    write_params(tmp_path / "params.yaml", **{"data.source": str(tmp_path / "dogs")})
    return tmp_path


def test_a_full_disk_is_told_with_what_is_needed_and_the_next_run_with_room_is_right(
    small_disk, dogs, run_stage, contents, capsys
):
    (small_disk.root / "params.yaml").write_bytes((dogs / "params.yaml").read_bytes())
    before = contents(small_disk.root)
    assert run_stage(prepare.main, small_disk.root) == 1
    said = capsys.readouterr().err.partition("error: ")[2].strip()
    found = re.fullmatch(NO_ROOM.format("data/prepared"), said)
    assert found, said
    assert contents(small_disk.root) == before
    assert list((small_disk.root / "data").iterdir()) == []

    small_disk.enlarge(50 * MEGABYTE)
    (dogs / "elsewhere").mkdir()
    (dogs / "elsewhere" / "params.yaml").write_bytes((dogs / "params.yaml").read_bytes())
    for folder in (small_disk.root, dogs / "elsewhere"):
        assert run_stage(prepare.main, folder) == 0
    made = contents(small_disk.root)
    assert made == contents(dogs / "elsewhere")
    needed = sum(len(content) for name, content in made.items() if name.startswith("data/")) / MEGABYTE
    assert float(found[2].removeprefix("about ").removesuffix(" MB")) == pytest.approx(needed, rel=0.2)


def write_bytes(partial):
    partial.write_bytes(bytes(MEGABYTE))


def write_table(partial):
    np.savetxt(partial, np.arange(MEGABYTE))


def write_picture(partial):
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), np.uint8)
    with partial.open("wb") as file:
        Image.fromarray(noise).save(file, "JPEG", quality=100)


@pytest.mark.parametrize("write", [write_bytes, write_table, write_picture])
def test_a_file_that_finds_no_room_leaves_what_was_there_and_nothing_beside_it(small_disk, contents, write):
    path = small_disk.root / "out"
    path.write_text("old")
    small_disk.fill(room=200_000)
    before = contents(small_disk.root)
    with pytest.raises(UserError, match=NO_ROOM.format(re.escape(str(path)))), whole_file(path) as partial:
        write(partial)
    assert contents(small_disk.root) == before


def test_a_model_that_finds_no_room_leaves_the_earlier_one(small_disk, contents):
    path = small_disk.root / "model.keras"
    path.write_text("old")
    before = contents(small_disk.root)
    with pytest.raises(UserError, match=NO_ROOM.format(re.escape(str(path)))):
        save_classifier(small_classifier(scratch_network(32, 3, 0.1), ["x", "y", "z"]), path)
    assert contents(small_disk.root) == before


def test_an_array_in_a_file_has_its_room_before_it_is_filled_or_says_what_it_needs(small_disk):
    small, large = small_disk.root / "small.npy", small_disk.root / "large.npy"
    with write_rows(small, (100_000,), np.float64) as append:
        assert small.stat().st_blocks * 512 >= 800_000
        append(np.arange(100_000))
    np.testing.assert_array_equal(np.load(small), np.arange(100_000))
    small.unlink()
    with (
        pytest.raises(UserError, match=rf"no room on the disk for {large}: it needs 2\.4 MB, and 1\.0 MB are free"),
        write_rows(large, (300_000,), np.float64),
    ):
        pass


LIMITED = """
import resource, sys
import stages.prepare
from stages.lib.core.errors import run
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]), -1))
run(stages.prepare.main)
"""


def test_a_memory_limit_is_told_with_what_was_needed_and_refuses_no_photo(dogs, contents):
    Image.new("L", (9000, 9000)).save(dogs / "dogs" / "Cairn" / "large.png")
    before = contents(dogs)
    done = {}
    for megabytes in (400, 8000):
        done[megabytes] = subprocess.run(
            [sys.executable, "-c", LIMITED, str(megabytes * MEGABYTE)],
            cwd=dogs, env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        if megabytes == 400:
            assert contents(dogs) == before
    large = dogs / "dogs" / "Cairn" / "large.png"
    assert (done[400].returncode, done[8000].returncode) == (1, 0), done
    assert f"error: not enough memory: {large} takes about 810 MB to read, and up to" in done[400].stderr
    assert re.search(r"\d+ MB were in use at most\. Close other programs or raise the limit", done[400].stderr)
    assert "Traceback" not in done[400].stderr
    assert "61 photos of 2 breeds" in done[8000].stdout
    assert done[8000].stdout.splitlines()[0].endswith("0 refused")


def test_memory_that_tensorflow_does_not_get_is_told_in_a_line_and_not_in_a_traceback(capsys):
    def too_large():
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9,9]\n at {{node}}")

    with pytest.raises(SystemExit) as ended:
        run(too_large)
    assert ended.value.code == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: not enough memory: OOM when allocating tensor with shape[9,9]."
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert 0 < float(second.split()[0].replace(",", "")) <= peak * 1024 / MEGABYTE + 1


def test_without_the_module_resource_as_on_windows_the_message_does_without_the_peak():
    script = (
        "import sys; sys.modules['resource'] = None\nfrom stages.lib.core.errors import run; run(lambda: [0] * 2**60)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: not enough memory: none is left.\nClose other programs or raise the limit, and run it again.\n"
    )
