"""Where the best model looked: on which photos, and that they are shown with their heat."""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers
from PIL import Image
from small_classifiers import small_classifier

from stages import explain
from stages.lib.networks.classifiers import pool
from stages.lib.networks.model_files import save_classifier
from stages.lib.reporting import sections

BREEDS = ["NA", "Pug"]  # red and green to the network below
PREPARED_SIDE = 32  # pixels, twice as many as the network takes
ANSWERS = {  # of the photos, by their names: what each is taken for, and how surely
    "NA/right.jpg": ("NA", 0.9), "NA/wrong.jpg": ("Pug", 0.7),
    "Pug/right.png": ("Pug", 0.8), "Pug/wrong.png": ("NA", 0.95),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """What the stage reads, of a model that takes red for the first breed and green for the second."""
    photo = keras.Input((16, 16, 3))
    maps = layers.AveragePooling2D(4)(layers.Rescaling(1 / 255)(photo))
    network = keras.Model(photo, layers.Dense(2, activation="softmax", name="probabilities")(pool(maps)))
    network.layers[-1].set_weights([np.array([[3.0, 0.0], [0.0, 3.0], [0.0, 0.0]]), np.zeros(2)])
    save_classifier(small_classifier(network, BREEDS, size=PREPARED_SIDE), tmp_path / "models/scratch_plain.keras")
    rows = [(name, name.split("/")[0], *answer) for name, answer in ANSWERS.items()]
    (tmp_path / "plots/predictions").mkdir(parents=True)
    table = pd.DataFrame(rows, columns=["photo", "actual", "predicted", "confidence"])
    table.to_csv(tmp_path / "plots/predictions/scratch_plain.csv", index=False)
    for place, name in enumerate(ANSWERS):
        picture = np.zeros((PREPARED_SIDE, PREPARED_SIDE, 3), np.uint8)
        picture[:8, 8 * place : 8 * place + 8, BREEDS.index(ANSWERS[name][0])] = 255
        path = tmp_path / "data/prepared/test" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/evaluate.json").write_text(json.dumps({"best": "scratch_plain", "views": 1}))
    return tmp_path


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
    (folder / "metrics/evaluate.json").write_text(json.dumps({"best": "scratch_plain", "views": 2}))
    assert run_stage(explain.main, folder) == 0
    assert (folder / "data/explained/heat.npy").read_bytes() == once
