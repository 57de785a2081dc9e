"""Which training photos a network finds most like a photo, as the stage predictions tells it."""

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image
from pipeline_fixtures import write_shown
from small_classifiers import KNOWN

from stages import predictions
from stages.lib.core import paths
from stages.lib.core.arrays import write_rows
from stages.lib.core.classifier import Classifier
from stages.lib.core.models import list_families
from stages.lib.datasets.predictions import read_nearest
from stages.lib.networks.classifiers import pool, with_familiarity
from stages.lib.networks.model_files import save_classifier

BREEDS = ["NA", "Pug"]  # red and green to the networks below
SIDE = 32
BACKBONE = "VGG16"  # whose features are a picture's mean colour, as far as it matters here
TRAINING = {"NA/1.jpg": (200, 20, 0), "NA/2.jpg": (255, 90, 0), "Pug/3.jpg": (0, 255, 0), "Pug/4.jpg": (90, 255, 0)}
ASKED = {
    "prepared/val/NA/5.jpg": (9, 0, 0),
    "prepared/test/Pug/green.png": (0, 200, 0),
    "prepared/test/NA/red.jpg": (210, 21, 0),
    "prepared_unknown/photos/cats/red, or so.jpg": (210, 20, 0),
}
RED = [("train/NA/1.jpg.png", "NA"), ("train/NA/2.jpg.png", "NA"), ("train/Pug/4.jpg.png", "Pug")]
GREEN = [("train/Pug/3.jpg.png", "Pug"), ("train/Pug/4.jpg.png", "Pug"), ("train/NA/2.jpg.png", "NA")]


def write_picture(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (SIDE, SIDE), colour).save(path)


@pytest.fixture
def project(tmp_path, write_params):
    """What the stage reads: models on colours, and what features and prepare made of the training photos."""
    write_params(tmp_path / "params.yaml")
    photo = keras.Input((16, 16, 3))
    maps = layers.AveragePooling2D(4)(layers.Rescaling(1 / 255)(photo))
    network = keras.Model(photo, layers.Dense(2, activation="softmax", name="probabilities")(pool(maps)))
    classifier = Classifier(with_familiarity(network, np.eye(2, 3, dtype=np.float32)), BREEDS, "crop", SIDE, KNOWN)
    for models in list_families([BACKBONE]).values():
        for model in models:
            save_classifier(classifier, tmp_path / f"models/{model}.keras")
    for photo, colour in {**{f"prepared/train/{name}": each for name, each in TRAINING.items()}, **ASKED}.items():
        write_picture(tmp_path / f"data/{photo}.png", colour)
    features = tmp_path / f"data/features/{BACKBONE}/plain"
    features.mkdir(parents=True)
    with write_rows(features / "train.npy", (len(TRAINING), 3), np.float32) as append:
        append(np.array(list(TRAINING.values()), np.float32))
    write_shown(features, "train", TRAINING)
    return tmp_path


@pytest.mark.parametrize("views", [1, 2])
def test_test_photos_and_unknown_ones_stand_beside_the_training_photos_most_like_them(
    project, write_params, run_stage, monkeypatch, views
):
    write_params(project / "params.yaml", **{"evaluate.views": views})
    assert run_stage(predictions.main, project, BACKBONE) == 0
    monkeypatch.chdir(project)
    table = read_nearest(BACKBONE)
    found = {
        key: list(zip(rows["nearest"], rows["breed"], strict=True)) for key, rows in table.groupby(["split", "photo"])
    }
    expected = {("test", "Pug/green.png"): GREEN, ("test", "NA/red.jpg"): RED, ("unknown", "cats/red, or so.jpg"): RED}
    assert found == expected


def test_of_a_cnn_from_scratch_none_are_listed_as_it_has_no_features_on_disk(project, run_stage, monkeypatch):
    assert run_stage(predictions.main, project, "scratch") == 0
    assert not (project / "data/predictions/scratch/nearest.csv").exists()
    monkeypatch.chdir(project)
    assert (len(read_nearest(None)), list(read_nearest(None))) == (0, ["split", "photo", "nearest", "breed"])


def test_without_unknown_photos_those_of_test_are_listed(project, run_stage, monkeypatch):
    (project / f"data/{list(ASKED)[-1]}.png").unlink()
    assert run_stage(predictions.main, project, BACKBONE) == 0
    monkeypatch.chdir(project)
    assert read_nearest(BACKBONE)["split"].unique().tolist() == ["test"]


def test_features_of_another_network_are_one_clear_line(project, run_stage, capsys):
    with write_rows(project / f"data/features/{BACKBONE}/plain/train.npy", (len(TRAINING), 5), np.float32) as append:
        append(np.ones((len(TRAINING), 5), np.float32))
    assert run_stage(predictions.main, project, BACKBONE) == 1
    assert capsys.readouterr().err.startswith(
        f"error: {paths.FEATURES / BACKBONE} is of another network than the model"
    )
