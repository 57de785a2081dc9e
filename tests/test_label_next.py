"""Which unlabelled photos are to be labelled first."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from PIL import Image, ImageOps
from pipeline_fixtures import write_shown
from small_classifiers import KNOWN

from stages import label_next
from stages.lib.core.arrays import write_rows
from stages.lib.core.classifier import Classifier
from stages.lib.core.hashes import hash_file
from stages.lib.images.label_fixes import LabelFix, write_label_fixes
from stages.lib.networks.classifiers import pool, with_familiarity
from stages.lib.networks.model_files import save_classifier
from stages.lib.probes.active_learning import choose_to_label
from stages.lib.serving.doubts import DECIDED

BREEDS = ["NA", "Pug"]  # red and green to the network below
SIDE, MODEL = 32, "VGG16_transfer_plain"


# The choice


def test_of_the_least_sure_one_of_each_kind_is_chosen_the_least_sure_first():
    directions = np.eye(4, dtype=np.float32)[[0, 0, 0, 1, 1, 2, 2, 3]]
    favourites = np.array([0.5, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56, 0.57])
    probabilities = np.stack([favourites, 1 - favourites], axis=1)
    chosen = choose_to_label(probabilities, directions, 4, seed=1)
    assert directions[chosen].argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_what_the_model_is_sure_of_is_not_chosen_however_unlike_the_rest_it_is():
    unsure, sure = np.full((20, 2), 0.5), np.tile([0.99, 0.01], (20, 1))
    features = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32)
    chosen = choose_to_label(np.concatenate([sure, unsure]), features, 2, seed=1)
    assert len(chosen) == 2
    assert chosen.min() >= 20


def test_where_the_model_is_sure_of_all_some_of_each_kind_are_chosen():
    directions = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    chosen = choose_to_label(np.tile([1.0, 0.0], (12, 1)), directions, 3, seed=1)
    assert sorted(directions[chosen].argmax(axis=1).tolist()) == [0, 1, 2]


@pytest.mark.parametrize("count", [1, 5, 6, 9])
def test_as_many_as_asked_for_are_chosen_each_once_even_where_all_are_the_same(count):
    chosen = choose_to_label(np.full((6, 3), 1 / 3), np.ones((6, 4), np.float32), count, seed=1)
    assert len(set(chosen.tolist())) == len(chosen) == min(count, 6)


# The command


def textured(number: int, colour: tuple[float, float, float]) -> Image.Image:
    """A picture like no other, of one colour as a whole."""
    grain = np.random.default_rng(number).integers(40, 255, (8, 8)).astype(np.uint8)
    grey = np.asarray(Image.fromarray(grain).resize((SIDE, SIDE), Image.Resampling.BILINEAR), float)
    return Image.fromarray((grey[..., None] * colour).astype(np.uint8))


RED, REDDISH, MIXED, GREEN, BLUE = (1, 0.1, 0), (1, 0.7, 0), (0.9, 1, 0), (0, 1, 0), (0.1, 0.1, 1)


@pytest.fixture
def project(tmp_path, write_params, monkeypatch):
    """A model on colours, what was made of its training photos, and a folder of unlabelled photos."""
    write_params(tmp_path / "params.yaml")
    photo = keras.Input((16, 16, 3))
    maps = layers.AveragePooling2D(4)(layers.Rescaling(1 / 255)(photo))
    probabilities = layers.Dense(2, activation="softmax", name="probabilities")
    network = keras.Model(photo, probabilities(pool(maps)))
    probabilities.set_weights([10 * np.eye(3, 2, dtype=np.float32), np.zeros(2, np.float32)])
    classifier = Classifier(with_familiarity(network, np.eye(2, 3, dtype=np.float32)), BREEDS, "crop", SIDE, KNOWN)
    save_classifier(classifier, tmp_path / f"models/{MODEL}.keras")
    scores = {"threshold": 0.9, "familiarity_threshold": 0.5, "sha256": hash_file(tmp_path / f"models/{MODEL}.keras")}
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/evaluate.json").write_text(json.dumps({"best": MODEL, MODEL: scores}))
    training = {"NA/1.jpg": RED, "NA/2.jpg": REDDISH, "Pug/3.jpg": GREEN}
    features = tmp_path / "data/features/VGG16/plain"
    features.mkdir(parents=True)
    with write_rows(features / "train.npy", (len(training), 3), np.float32) as append:
        append(np.array(list(training.values()), np.float32))
    write_shown(features, "train", training)
    for number, (name, colour) in enumerate(training.items()):
        path = tmp_path / f"data/prepared/train/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        textured(number, colour).save(path)
    (tmp_path / "new/album").mkdir(parents=True)
    for name, number, colour in (("red", 10, RED), ("mixed", 11, MIXED), ("green", 12, GREEN), ("sea", 13, BLUE)):
        textured(number, colour).save(tmp_path / f"new/{name}.png")
    ImageOps.mirror(textured(11, MIXED)).save(tmp_path / "new/twin of mixed.png")
    textured(2, GREEN).resize((64, 64)).save(tmp_path / "new/album/labelled already.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def chosen(project) -> pd.DataFrame:
    return pd.read_csv(project / "label_next/photos.csv", dtype=str, keep_default_na=False)


@pytest.mark.parametrize("views", [1, 2])
def test_the_least_sure_comes_first_with_its_guess_and_near_duplicates_and_unknown_ones_are_left_out(
    project, run_stage, capsys, views
):
    evaluation = json.loads((project / "metrics/evaluate.json").read_text())
    (project / "metrics/evaluate.json").write_text(json.dumps(evaluation | {"views": views}))
    assert run_stage(label_next.main, project, "new") == 0
    table = chosen(project)
    assert table["photo"].tolist() == [str(project / f"new/{name}.png") for name in ("mixed", "red", "green")]
    assert table[["guess", "second"]].to_numpy().tolist() == [["Pug", "NA"], ["NA", "Pug"], ["Pug", "NA"]]
    assert table["like_guess"].tolist() == [
        f"data/prepared/train/{name}.png" for name in ("Pug/3.jpg", "NA/1.jpg", "Pug/3.jpg")
    ]
    assert table["like_second"][0] == "data/prepared/train/NA/2.jpg.png"
    assert (table["probability"].astype(float) > table["second_probability"].astype(float)).all()
    assert Image.open(project / "label_next/photos.jpg").format == "JPEG"
    assert capsys.readouterr().out == (
        "label_next: 3 of 6 photos, in label_next; left out 1 that are nearly labelled ones, 1 nearly others of them, "
        "1 of none of the breeds\n"
    )


def test_only_as_many_as_asked_for_are_chosen_the_same_each_time(project, run_stage, contents):
    made = []
    for _ in range(2):
        assert run_stage(label_next.main, project, "new", "--count", "1") == 0
        made.append(contents(project / "label_next"))
    assert made[0] == made[1]
    assert chosen(project)["photo"].tolist() == [str(project / "new/mixed.png")]


def test_what_was_decided_is_not_chosen_again_and_what_is_no_photo_is_told(project, run_stage, capsys):
    (project / "new/notes.png").write_bytes(b"no picture")
    photo = project / "new/red.png"
    write_label_fixes(DECIDED, [LabelFix(hash_file(photo), str(photo), "drop")])
    assert run_stage(label_next.main, project, "new") == 1
    assert str(photo) not in chosen(project)["photo"].tolist()
    assert capsys.readouterr().err == f"not read: {project}/new/notes.png: not a picture\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "nowhere must be a folder of photos."),
        (["empty"], "There is no photo in it about which nobody has decided."),
        (["new", "--model", "scratch_plain"], "name a .keras model on a backbone with --model, one that was evaluated"),
    ],
)
def test_what_is_missing_is_told_in_a_line(project, run_stage, capsys, arguments, told):
    (project / "empty").mkdir()
    (project / "models/scratch_plain.keras").write_bytes((project / f"models/{MODEL}.keras").read_bytes())
    assert run_stage(label_next.main, project, *arguments) == 1
    assert told in capsys.readouterr().err
