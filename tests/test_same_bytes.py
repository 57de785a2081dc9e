"""The same photos and params give the same prepared data, views and features, whatever else is different."""

import functools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_pipeline import BACKBONE, vgg16

from stages.lib.backbones.build import build_backbone, write_weights

ROOT = Path(__file__).resolve().parent.parent
QUICK = ("prepare", "augment")
WHOLE = (*QUICK, f"features {BACKBONE} photos", f"features {BACKBONE} views")
PROGRAM = """
import importlib, sys
for stage in sys.argv[1:]:
    sys.argv = stage.split()
    importlib.import_module(f"stages.{sys.argv[0]}").main()
"""
SLOW = pytest.mark.slow
MADE = ("data", "metrics", "plots")


@pytest.fixture(scope="module")
def source(tmp_path_factory, draw_photo):
    """Photos of two breeds by name, and a file of weights."""
    folder = tmp_path_factory.mktemp("source")
    photos = {}
    for breed in ("Cairn", "Löwchen"):
        for number in range(24):
            path = folder / "photo.jpg"
            draw_photo(number + 100 * (breed == "Cairn"), (150, 130)).save(path)
            photos[f"{breed}/{number}.jpg"] = path.read_bytes()
    photos["Cairn/twin.jpg"] = photos["Cairn/3.jpg"]
    photos["Cairn/whose.jpg"] = photos["Löwchen/5.jpg"]
    photos["Löwchen/notes.txt"] = b"refused"
    write_weights(build_backbone("VGG16", 64), folder / "VGG16.weights.h5")
    return photos, folder / "VGG16.weights.h5"


@pytest.fixture(scope="module")
def run_in(source, tmp_path_factory, write_params, contents):
    """Run the three stages in a checkout of its own, and give the bytes of all that they make but the seconds."""
    photos, weights = source

    def run(stages, order=sorted, cores=None, precision="float32", more=None, **environment):
        checkout = tmp_path_factory.mktemp("checkout")
        for name in order(photos):
            path = checkout / "photos" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photos[name])
        for name, content in (more or {}).items():
            (checkout / "photos" / name).write_bytes(content)
        backbones = {BACKBONE: vgg16(image_size=48) | {"weights": str(weights)}}
        write_params(
            checkout / "params.yaml", backbones=backbones, main_backbone=BACKBONE, precision=precision,
            **{"data.source": "photos", "data.image_size": 64, "augment.copies": 2},
        )  # fmt: skip
        subprocess.run(
            [sys.executable, "-c", PROGRAM, *stages], cwd=checkout, check=True, capture_output=True, timeout=600,
            env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | environment,
            preexec_fn=(lambda: os.sched_setaffinity(0, cores)) if cores else None,
        )  # fmt: skip
        return {
            name: content for name, content in contents(checkout).items()
            if name.startswith(MADE) and not name.startswith("metrics/costs/")
        }  # fmt: skip

    return run


@pytest.fixture(scope="module")
def first(run_in):
    return functools.cache(run_in)


def differing(one, other):
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def shuffled(names):
    return random.Random(1).sample(sorted(names), len(names))


def backwards(names):
    return sorted(names)[::-1]


@pytest.mark.parametrize(
    ("stages", "order", "hash_seed"),
    [
        (QUICK, shuffled, "1"),
        *(pytest.param(WHOLE, *each, marks=SLOW) for each in ((shuffled, "1"), (backwards, "12345"))),
    ],
    ids=["before the network", "shuffled", "backwards"],
)
def test_another_checkout_order_of_files_and_hash_seed_give_the_same_bytes(first, run_in, stages, order, hash_seed):
    made = first(stages)
    assert len(made) > 100
    assert "data/prepared/refused.csv" in made
    features = {f"data/features/{BACKBONE}/{variant}/train.npy" for variant in ("plain", "augmented")}
    assert stages == QUICK or features <= made.keys()
    assert differing(made, run_in(stages, order=order, PYTHONHASHSEED=hash_seed)) == []


@SLOW
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core only")
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_one_thread_and_two_give_the_same_bytes(run_in, precision):
    cores = sorted(os.sched_getaffinity(0))[:2]
    one, two = (
        run_in(
            WHOLE, cores=set(cores[:count]), precision=precision, OMP_NUM_THREADS=str(count),
            TF_NUM_INTRAOP_THREADS=str(count), TF_NUM_INTEROP_THREADS=str(count),
        )
        for count in (1, 2)
    )  # fmt: skip
    assert differing(one, two) == []


def test_a_photo_more_moves_one_other_of_its_breed_at_most_and_changes_no_other_photos_picture_or_views(
    first, run_in, draw_photo, tmp_path
):
    draw_photo(500, (150, 130)).save(tmp_path / "new.jpg")
    before = first(QUICK)
    more = run_in(QUICK, more={"Cairn/new.jpg": (tmp_path / "new.jpg").read_bytes()})
    pictures, more_pictures = (
        {name.split("/", 3)[3]: (name.split("/")[2], content) for name, content in made.items()
         if name.startswith("data/prepared/") and name.endswith(".png")}
        for made in (before, more)
    )  # fmt: skip
    assert more_pictures.keys() - pictures.keys() == {"Cairn/new.jpg.png"}
    moved = {name for name in pictures if pictures[name][0] != more_pictures[name][0]}
    assert len(moved) <= 1
    assert all(name.startswith("Cairn/") for name in moved)
    assert [name for name in pictures if pictures[name][1] != more_pictures[name][1]] == []
    views, more_views = (
        {
            name: content
            for name, content in made.items()
            if name.startswith("data/augmented/") and name.endswith(".jpg")
        }
        for made in (before, more)
    )
    gone_or_new = {name.split("/", 3)[3].rsplit(".", 2)[0] + ".png" for name in views.keys() ^ more_views.keys()}
    assert gone_or_new <= moved | {"Cairn/new.jpg.png"}
    kept = views.keys() & more_views.keys()
    assert len(kept) > 40
    assert [name for name in kept if views[name] != more_views[name]] == []
