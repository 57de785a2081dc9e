"""Where the best model looked: on which photos, and that they are shown with their heat."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from PIL import Image
from small_classifiers import KNOWN

from stages import explain
from stages.lib.core.arrays import write_rows
from stages.lib.core.classifier import Classifier
from stages.lib.datasets.features import write_breeds
from stages.lib.networks.classifiers import pool, with_familiarity
from stages.lib.networks.model_files import save_classifier
from stages.lib.reporting import sections

BREEDS = ["NA", "Pug"]  # red and green to the network below
PREPARED_SIDE = 32  # pixels, twice as many as the network takes
ANSWERS = {  # of the photos, by their names: what each is taken for, and how surely
    "NA/right.jpg": ("NA", 0.9), "NA/wrong.jpg": ("Pug", 0.7),
    "Pug/right.png": ("Pug", 0.8), "Pug/wrong.png": ("NA", 0.95),
}  # fmt: skip
FAMILIARITY = pd.DataFrame(  # what evaluate found: red stripes pass for known, and a green test photo does not
    [
        ("test", "NA/right.jpg", "NA", 0.9, 0.9, 0.8, False),
        ("test", "Pug/right.png", "Pug", 0.8, 0.1, 0.02, True),
        ("unknown", "cats/red, or so.jpg", "NA", 0.6, 0.7, 0.4, False),
        ("unknown", "blue.jpg", "Pug", 0.5, 0.0, 0.01, True),
    ],
    columns=["split", "photo", "predicted", "confidence", "familiarity", "p_value", "unknown"],
)
TRAINING = {"NA/1.jpg": (200, 20, 0), "NA/2.jpg": (255, 90, 0), "Pug/3.jpg": (0, 255, 0), "Pug/4.jpg": (90, 255, 0)}
BACKBONE = "VGG16"  # whose features are the mean of each colour, as far as it matters here


def write_evaluation(folder, best="scratch_plain", backbone=None, views=1):
    said = {"best": best, "best_backbone": backbone, "views": views}
    (folder / "metrics/evaluate.json").write_text(json.dumps(said))


@pytest.fixture
def folder(tmp_path):
    """What the stage reads, of a model that takes red for the first breed and green for the second."""
    photo = keras.Input((16, 16, 3))
    maps = layers.AveragePooling2D(4)(layers.Rescaling(1 / 255)(photo))
    network = keras.Model(photo, layers.Dense(2, activation="softmax", name="probabilities")(pool(maps)))
    network.layers[-1].set_weights([np.array([[3.0, 0.0], [0.0, 3.0], [0.0, 0.0]]), np.zeros(2)])
    network = with_familiarity(network, np.eye(2, 3, dtype=np.float32))
    for model in ("scratch_plain", f"{BACKBONE}_finetune"):
        save_classifier(Classifier(network, BREEDS, "crop", PREPARED_SIDE, KNOWN), tmp_path / f"models/{model}.keras")
    rows = [(name, name.split("/")[0], *answer) for name, answer in ANSWERS.items()]
    (tmp_path / "plots/predictions").mkdir(parents=True)
    table = pd.DataFrame(rows, columns=["photo", "actual", "predicted", "confidence"])
    tables = []
    for model in ("scratch_plain", f"{BACKBONE}_finetune"):
        table.to_csv(tmp_path / f"plots/predictions/{model}.csv", index=False)
        tables.append(FAMILIARITY.assign(model=model))
    pd.concat(tables).to_csv(tmp_path / "plots/familiarity.csv", index=False)
    for place, name in enumerate(ANSWERS):
        picture = np.zeros((PREPARED_SIDE, PREPARED_SIDE, 3), np.uint8)
        picture[:8, 8 * place : 8 * place + 8, BREEDS.index(ANSWERS[name][0])] = 255
        path = tmp_path / "data/prepared/test" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    (tmp_path / "metrics").mkdir()
    write_evaluation(tmp_path)
    return tmp_path


@pytest.fixture
def on_a_backbone(folder):
    """The same where the best model is on a backbone, and what features and prepare made of the training photos."""
    write_evaluation(folder, best=f"{BACKBONE}_finetune", backbone=BACKBONE)
    for photo, colour in {
        **{f"train/{name}": colour for name, colour in TRAINING.items()},
        "val/NA/5.jpg": (9, 0, 0),
    }.items():
        write_picture(folder / f"data/prepared/{photo}.png", colour)
    write_picture(folder / "data/prepared_unknown/photos/cats/red, or so.jpg.png", (210, 20, 0))
    write_picture(folder / "data/prepared_unknown/photos/blue.jpg.png", (0, 0, 200))
    rows = [(name, "train", place) for place, name in enumerate(TRAINING)] + [("NA/5.jpg", "val", 9)]
    pd.DataFrame(rows, columns=["file", "split", "group"]).to_csv(folder / "data/prepared/manifest.csv", index=False)
    (folder / "data/augmented/plain").mkdir(parents=True)
    (folder / "data/augmented/plain/views.csv").write_text("view,photo,copy\n")
    features = folder / f"data/features/{BACKBONE}/plain"
    features.mkdir(parents=True)
    with write_rows(features / "train.npy", (len(TRAINING), 3), np.float32) as append:
        append(np.array(list(TRAINING.values()), np.float32))
    write_breeds([name.split("/")[0] for name in TRAINING], features, "train")
    return folder


def write_picture(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (PREPARED_SIDE, PREPARED_SIDE), colour).save(path)


def read_nearest(folder) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Of each photo in nearest.csv the training photos beside it and their breeds, in order."""
    table = pd.read_csv(folder / "data/explained/nearest.csv", keep_default_na=False)
    assert list(table.columns) == ["split", "photo", "nearest", "breed"]
    return {
        key: list(zip(rows["nearest"], rows["breed"], strict=True)) for key, rows in table.groupby(["split", "photo"])
    }


def test_the_surest_right_answers_and_the_worst_errors_are_explained_for_the_breed_that_was_named(folder, run_stage):
    assert run_stage(explain.main, folder) == 0
    photos = pd.read_csv(folder / "data/explained/photos.csv", keep_default_na=False)
    assert photos["photo"].tolist() == ["NA/right.jpg", "Pug/right.png", "Pug/wrong.png", "NA/wrong.jpg"]
    assert photos["predicted"].tolist() == ["NA", "Pug", "NA", "Pug"]
    heats = np.load(folder / "data/explained/heat.npy")
    places = [list(ANSWERS).index(name) for name in photos["photo"]]
    expected = np.zeros((4, 4, 4))
    expected[range(4), 0, places] = 1
    np.testing.assert_allclose(heats, expected, atol=0.02)  # an edge spreads a little when it is shrunk


def test_the_report_shows_each_with_its_heat_the_right_ones_and_the_wrong_ones(folder, run_stage, monkeypatch):
    assert run_stage(explain.main, folder) == 0
    monkeypatch.chdir(folder)
    shown = sections.explained()
    assert {title: [row["photo"] for row in rows] for title, rows in shown.items()} == {
        "Right": ["NA/right.jpg", "Pug/right.png"],
        "Wrong": ["Pug/wrong.png", "NA/wrong.jpg"],
    }
    pictures = [row[name] for rows in shown.values() for row in rows for name in ("picture", "heat")]
    assert len(set(pictures)) == 8
    assert all(picture.startswith("data:image/jpeg;base64,") for picture in pictures)


def test_before_evaluate_it_tells_in_one_line_what_to_run_first(tmp_path, run_stage, capsys):
    assert run_stage(explain.main, tmp_path) == 1
    assert capsys.readouterr().err == (
        "error: There is no metrics/evaluate.json to tell the best model: run `dvc repro` first.\n"
    )


def test_heat_is_of_the_network_as_it_is_saved(folder, run_stage):
    """Also where evaluate averages views: it has no heat of its own."""
    assert run_stage(explain.main, folder) == 0
    once = (folder / "data/explained/heat.npy").read_bytes()
    write_evaluation(folder, views=2)
    assert run_stage(explain.main, folder) == 0
    assert (folder / "data/explained/heat.npy").read_bytes() == once


# What is like what


def test_photos_that_pass_for_known_and_test_photos_that_do_not_stand_beside_the_training_photos_most_like_them(
    on_a_backbone, run_stage
):
    assert run_stage(explain.main, on_a_backbone) == 0
    red = [("train/NA/1.jpg.png", "NA"), ("train/NA/2.jpg.png", "NA"), ("train/Pug/4.jpg.png", "Pug")]
    green = [("train/Pug/3.jpg.png", "Pug"), ("train/Pug/4.jpg.png", "Pug"), ("train/NA/2.jpg.png", "NA")]
    assert read_nearest(on_a_backbone) == {("unknown", "cats/red, or so.jpg"): red, ("test", "Pug/right.png"): green}


def test_of_a_cnn_from_scratch_no_training_photos_are_listed_as_it_has_no_features_on_disk(folder, run_stage):
    assert run_stage(explain.main, folder) == 0
    assert read_nearest(folder) == {}


def test_where_no_photo_is_mistaken_no_features_are_read_and_nothing_is_listed(folder, run_stage):
    write_evaluation(folder, best=f"{BACKBONE}_finetune", backbone=BACKBONE)
    table = FAMILIARITY.assign(model=f"{BACKBONE}_finetune", unknown=FAMILIARITY["split"] == "unknown")
    table.to_csv(folder / "plots/familiarity.csv", index=False)
    assert run_stage(explain.main, folder) == 0
    assert read_nearest(folder) == {}


def test_features_that_are_not_of_the_training_photos_are_one_clear_line(on_a_backbone, run_stage, capsys):
    write_picture(on_a_backbone / "data/prepared/train/Pug/6.jpg.png", (0, 200, 0))
    assert run_stage(explain.main, on_a_backbone) == 1
    told = capsys.readouterr().err
    assert f"error: data/features/{BACKBONE}/plain is not of the pictures in data/prepared and data/augmented: " in told
    assert not (on_a_backbone / "data/explained").exists()


def test_the_report_shows_each_with_the_training_photos_most_like_it(on_a_backbone, run_stage, monkeypatch):
    assert run_stage(explain.main, on_a_backbone) == 0
    monkeypatch.chdir(on_a_backbone)
    found = sections.mistaken(FAMILIARITY)
    assert {split: [row["photo"] for row in rows] for split, rows in found.items()} == {
        "unknown": ["cats/red, or so.jpg"],
        "test": ["Pug/right.png"],
    }
    (unknown,), (test,) = found.values()
    assert [each["breed"] for each in unknown["alike"]] == ["NA", "NA", "Pug"]
    assert [each["breed"] for each in test["alike"]] == ["Pug", "Pug", "NA"]
    pictures = [each["picture"] for row in (unknown, test) for each in (row, *row["alike"])]
    assert all(picture.startswith("data:image/jpeg;base64,") for picture in pictures)
    assert len(set(pictures)) == 2 + 4, "one of the green ones and one of the red ones stand beside both"
