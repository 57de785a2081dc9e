"""Frozen features and what is trained on them: at a backbone's own size, of prepared pictures that are larger."""

import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from stages import features, finetune, leave_breeds_out, transfer
from stages.lib.backbones.build import build_backbone, write_weights
from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.core.encoding import encode
from stages.lib.core.models import VARIANTS
from stages.lib.datasets.features import read_photos, read_rows
from stages.lib.datasets.pictures import find_pictures, read_picture
from stages.lib.familiarity.conformal import keep_scores
from stages.lib.familiarity.leave_out import Photos, score_known
from stages.lib.familiarity.scores import breed_means, familiarity
from stages.lib.networks.classifiers import pool
from stages.lib.networks.model_files import load_classifier, load_network

BREEDS = ["Löwchen", "Pug"]
PHOTOS = {"train": 3, "val": 2}  # of each breed
PREPARED, SIDE = 48, 32  # pixels a side: of the pictures, and of the network
NAME = "small-1"
SMALL = {"network": "VGG16", "weights": "some.weights.h5", "image_size": SIDE, "finetune_layers": 3}
QUICK = {"steps": 4, "validate_every": 2, "batch_size": 4}


@pytest.fixture(scope="module")
def project(tmp_path_factory, draw_photo, write_params, run_stage) -> Path:
    """A folder in which features and both variants of transfer ran, with a network whose weights are random."""
    root = tmp_path_factory.mktemp("features")
    changes = {f"{section}.{key}": value for section in ("transfer", "finetune") for key, value in QUICK.items()}
    sizes = {"data.image_size": PREPARED}
    write_params(
        root / "params.yaml", backbones={NAME: SMALL}, main_backbone=NAME, precision="float32", **sizes, **changes
    )
    views, listed = [], []
    for place, breed in enumerate(BREEDS):
        for split, count in PHOTOS.items():
            for number in range(count):
                photo = f"{breed}/{split} {number}.jpg"
                listed.append({"file": photo, "group": 100 * place + len(listed)})
                picture = root / f"data/prepared/{split}/{photo}.png"
                picture.parent.mkdir(parents=True, exist_ok=True)
                draw_photo(100 * place + 10 * number + len(split), (PREPARED, PREPARED)).save(picture)
                if split == "train":
                    view = root / f"data/augmented/augmented/{photo}.0.jpg"
                    view.parent.mkdir(parents=True, exist_ok=True)
                    draw_photo(1000 + 100 * place + number, (PREPARED, PREPARED)).save(view)
                    views.append({"view": f"{breed}/{view.name}", "photo": f"{breed}/{picture.name}", "copy": 0})
    pd.DataFrame(listed).to_csv(root / "data/prepared/groups.csv", index=False)
    (root / "data/augmented/plain").mkdir()
    pd.DataFrame(views).to_csv(root / "data/augmented/augmented/views.csv", index=False)
    pd.DataFrame(views).head(0).to_csv(root / "data/augmented/plain/views.csv", index=False)
    keras.utils.set_random_seed(1)
    write_weights(build_backbone("VGG16", SIDE), root / "some.weights.h5")
    assert [run_stage(features.main, root, NAME, pictures) for pictures in ("photos", "views")] == [0, 0]
    assert [run_stage(transfer.main, root, NAME, variant) for variant in VARIANTS] == [0, 0]
    assert run_stage(finetune.main, root, NAME) == 0
    return root


def pictures_of(project: Path, variant: str, split: str) -> tuple[np.ndarray, list[str]]:
    """The pictures of a variant as the network sees them, and their breeds."""
    views = [project / "data/augmented" / variant] if split == "train" else []
    files, breeds = find_pictures(project / "data/prepared" / split, *views)
    return np.stack([read_picture(file, SIDE) for file in files]), breeds


@pytest.fixture(scope="module")
def backbone(project) -> keras.Model:
    """What features left of the network."""
    return load_network(project / f"data/features/{NAME}/backbone.keras")


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("split", PHOTOS)
def test_features_are_those_of_the_pictures_at_the_networks_size(project, backbone, variant, split):
    pictures, breeds = pictures_of(project, variant, split)
    found, shown = read_rows(split, project / f"data/features/{NAME}/{variant}")
    expected = keras.Model(backbone.inputs[0], pool(backbone.outputs[0]))(pictures.astype(np.float32), training=False)
    assert shown["breed"].tolist() == breeds
    assert shown["view"].tolist() == [split == "train" and place >= 6 for place in range(len(pictures))]
    assert (found.shape, found.dtype) == ((len(pictures), 512), np.float32)
    np.testing.assert_allclose(found[:], expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(found[:], axis=0).max() > 1e-3, "all pictures have the same features, or this shows nothing"


def test_the_backbone_is_kept_as_it_was_built(project, backbone):
    original = build_backbone("VGG16", SIDE, project / "some.weights.h5")
    assert backbone.input_shape == (None, SIDE, SIDE, 3)
    for kept, expected in zip(backbone.get_weights(), original.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, expected)


def test_activations_are_in_the_order_of_the_pictures_and_lie_below_the_layers_that_train(project, backbone):
    pictures, breeds = pictures_of(project, "augmented", "train")
    found, shown = read_rows("train", *(project / f"data/activations/{NAME}/{kind}" for kind in ("photos", "views")))
    below = keras.Model(backbone.inputs[0], backbone.get_layer("block4_pool").output)
    expected = below(pictures.astype(np.float32), training=False).numpy()
    assert shown["breed"].tolist() == breeds
    assert found.dtype == np.float16
    np.testing.assert_allclose(found[:], expected, rtol=2e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_model_that_transfer_joins_answers_of_photos_as_its_head_does_of_their_features(project, variant):
    model = load_classifier(project / f"models/{NAME}_transfer_{variant}.keras")
    assert (model.breeds, model.image_size, model.prepared_size) == (BREEDS, SIDE, PREPARED)
    pictures, _ = pictures_of(project, variant, "train")
    found, _ = read_rows("train", project / f"data/features/{NAME}/{variant}")
    pooled = model.network.get_layer("head_pool").output
    head = keras.Model(pooled, model.network.output[PROBABILITIES])
    received = model.network.predict_on_batch(pictures)[PROBABILITIES]
    np.testing.assert_allclose(received, head(found[:], training=False), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_familiarity_of_what_transfer_joins_is_that_of_the_features_and_views_do_not_count(
    project, variant, monkeypatch
):
    monkeypatch.chdir(project)
    model = load_classifier(project / f"models/{NAME}_transfer_{variant}.keras")
    train, val = (read_photos(NAME, "plain", split) for split in PHOTOS)
    means = breed_means(train.features, encode(train.breeds, BREEDS))
    received = model.network.predict_on_batch(pictures_of(project, "plain", "val")[0])[FAMILIARITY]
    np.testing.assert_allclose(received, familiarity(means, val.features), atol=1e-5)
    known = score_known(*(Photos(each.features, each.breeds, each.groups) for each in (train, val)))
    assert len(known) == len(BREEDS) * sum(PHOTOS.values())
    assert model.known_familiarity == keep_scores(known)


def test_the_fine_tuned_model_has_the_familiarity_of_its_start_to_the_bit_and_other_probabilities(project):
    start, tuned = (
        load_classifier(project / f"models/{NAME}_{model}.keras") for model in ("transfer_augmented", "finetune")
    )
    pictures, _ = pictures_of(project, "augmented", "train")
    before, after = (model.network.predict_on_batch(pictures) for model in (start, tuned))
    assert after[FAMILIARITY].tobytes() == before[FAMILIARITY].tobytes()
    assert np.abs(after[PROBABILITIES] - before[PROBABILITIES]).max() > 1e-4
    assert tuned.known_familiarity == start.known_familiarity


def test_each_breed_is_left_out_of_the_features_as_if_it_were_not_known(project, run_stage, capsys):
    assert run_stage(leave_breeds_out.main, project, NAME) == 0
    told = capsys.readouterr().out
    table = pd.read_csv(project / f"plots/leave_breeds_out/{NAME}.csv")
    assert table["model"].tolist() == [NAME, NAME]
    assert table["breed"].tolist() == BREEDS
    assert table["passes_for"].tolist() == BREEDS[::-1]
    assert table["photos"].tolist() == table["known_photos"].tolist() == [5, 5]
    assert table["turned_away"].isna().all(), "5 known photos are too few for a threshold"
    summary = json.loads((project / f"metrics/leave_breeds_out/{NAME}.json").read_text())
    assert summary["breeds"] == 2
    assert summary["auc"] == pytest.approx(table["auc"].mean(), abs=1e-6)
    assert summary["turned_away"] is None
    assert told == f"leave_breeds_out with {NAME}: too few photos to tell\n"


def test_fine_tuning_goes_on_from_the_head_on_augmented_features(project):
    model = load_classifier(project / f"models/{NAME}_finetune.keras")
    assert (model.breeds, model.image_size, model.prepared_size) == (BREEDS, SIDE, PREPARED)
    start = json.loads((project / f"metrics/{NAME}_transfer_augmented.json").read_text())
    history = pd.read_csv(project / f"plots/history/{NAME}_finetune.csv")
    assert history["val_loss"].iloc[0] == pytest.approx(start["best_val_loss"], rel=1e-2)  # float16 is cached


def test_what_each_stage_cost_is_told_under_its_backbones_name(project):
    for pictures in ("photos", "views"):
        costs = json.loads((project / f"metrics/costs/features/{NAME}/{pictures}.json").read_text())
        assert list(costs) == ["seconds", "pictures_per_second", "precision"]
    made = {file.name for file in (project / "metrics/costs/training").iterdir()}
    assert made == {f"{NAME}_{model}.json" for model in ("transfer_plain", "transfer_augmented", "finetune")}


@pytest.mark.parametrize(
    ("main", "arguments"),
    [(features.main, ["photos"]), (transfer.main, ["plain"]), (finetune.main, []), (leave_breeds_out.main, [])],
)
def test_a_backbone_that_there_is_not_is_told_with_those_that_there_are(project, run_stage, capsys, main, arguments):
    assert run_stage(main, project, "VGG16", *arguments) == 2
    complaint = capsys.readouterr().err
    assert "argument backbone: invalid choice: 'VGG16'" in complaint
    assert NAME in complaint
