import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from pipeline_fixtures import read_params, read_records, recording
from tiny_pipeline import new_repository, tiny_params

from stages.lib.core.errors import run

ROOT = Path(__file__).resolve().parent.parent


# by what they take, so that the two processes end at about the same time
LONGEST = [
    f"test_{name}.py"
    for name in ("pipeline", "export", "tune", "training", "backbones", "checkpoints", "efficientnet_lite")
]


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


def _draw_photo(number, size=(96, 72)):
    """A photo-like RGB picture: coarse shapes, and fine ones that are faint. Another number, another picture."""
    generator = np.random.default_rng(number)
    picture = np.zeros((size[1], size[0], 3))
    for cells, strength in ((3, 30), (5, 30), (8, 30), (24, 4)):
        for channel in range(3):
            grid = Image.fromarray(generator.normal(0, strength, (cells, cells)).astype(np.float32))
            picture[..., channel] += np.asarray(grid.resize(size, Image.Resampling.BICUBIC))
    return Image.fromarray((100 + picture).clip(0, 255).astype(np.uint8))


def _contents(folder):
    """The bytes of every file below a folder; of a link, where it leads."""
    found = {}
    for path in Path(folder).rglob("*"):
        if path.is_symlink():
            found[path.relative_to(folder).as_posix()] = str(path.readlink())
        elif path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found


def _write_params(path, **changes):
    """Write the repository's params.yaml to ``path``, with ``**{"section.key": value}`` changed.

    Networks take pictures in the size of a changed ``data.image_size``, if nothing else is said of them.
    """
    if size := changes.get("data.image_size"):
        keys = ["train_scratch.image_size", *(f"backbones.{name}.image_size" for name in read_params()["backbones"])]
        changes = dict.fromkeys(keys, max(size, 32)) | changes
    path.write_text(yaml.safe_dump(read_params(**changes), allow_unicode=True, sort_keys=False), encoding="utf-8")


def slow_but(names, *quick):
    """``names`` as parameters of a test, of which all but ``quick`` are slow."""
    assert all(name in names for name in quick)
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def draw_photo():
    return _draw_photo


@pytest.fixture(scope="session")
def contents():
    return _contents


@pytest.fixture(scope="session")
def write_params():
    return _write_params


@pytest.fixture(scope="session")
def run_stage():
    """Run a stage's main in a folder, in this process, with what follows its name, and give its exit code."""

    def run_in(main, folder, *arguments):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.chdir(folder)
            patch.setattr(sys, "argv", [main.__module__, *arguments])
            run(main)
        return ended.value.code

    return run_in


@pytest.fixture(scope="session")
def first_run(tmp_path_factory):
    """A repository in which `dvc repro` ran once and its results were committed, what it printed, and its records."""
    folder = tmp_path_factory.mktemp("pipeline")
    for name in ("repository", "records"):
        (folder / name).mkdir()
    repository = new_repository(folder / "repository", tiny_params())
    printed = repository.dvc("repro", **recording(folder / "records")).stdout
    repository.commit()
    yield repository, printed, read_records(folder / "records")
    shutil.rmtree(folder)  # half a gigabyte
