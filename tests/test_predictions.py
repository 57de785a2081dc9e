"""Networks that share layers answer together exactly as each does alone, and what they answered is kept."""

import json

import keras
import numpy as np
import pytest
from conftest import slow_but
from keras import layers
from small_classifiers import KNOWN, familiar, largest_differences, seeded_head, small_classifier
from tiny_pipeline import list_models

from stages import predictions
from stages.lib.backbones.build import build_backbone
from stages.lib.core import paths
from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.core.hashes import hash_file
from stages.lib.core.models import list_families
from stages.lib.datasets.pictures import find_pictures, read_picture
from stages.lib.datasets.predictions import (
    Predictions,
    read_models,
    read_predictions,
    write_models,
    write_predictions,
)
from stages.lib.inference.predictions import BATCH_SIZE, predict_pictures
from stages.lib.networks.classifiers import COSINES, join, scratch_network
from stages.lib.networks.graphs import join_networks
from stages.lib.networks.model_files import save_classifier

PREPARED, SIDE = 48, 32  # pixels a side: of the pictures, and of the networks
FAMILIES = list_families(["A", "B"])
MODELS = list_models(["A", "B"])


def on_backbone(backbone: keras.Model, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return join(backbone, seeded_head(backbone.output.shape[-1], 3, seed=seed))


def small_backbone() -> keras.Model:
    """Three convolutions, one of them with a shortcut around it."""
    photo = keras.Input((SIDE, SIDE, 3), name="photo")
    x = layers.Conv2D(8, 3, strides=2, activation="relu")(layers.Rescaling(1 / 255)(photo))
    x = layers.Add()([x, layers.Conv2D(8, 3, padding="same", activation="relu")(x)])
    return keras.Model(photo, layers.Conv2D(16, 3, strides=2, name="top_conv")(x))


BACKBONES = {"small": (small_backbone, 3), "EfficientNetLite0": (lambda: build_backbone("EfficientNetLite0", SIDE), 33)}


@pytest.fixture(scope="module", params=slow_but(BACKBONES, "small"))
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def networks(kind) -> list[keras.Model]:
    """A small CNN, two heads on the same backbone, and one on a copy of it whose last layers were trained on."""
    keras.utils.set_random_seed(1)
    backbone = BACKBONES[kind][0]()
    trained_on = keras.models.clone_model(backbone)
    trained_on.set_weights(backbone.get_weights())
    kernel = trained_on.get_layer("top_conv").kernel
    kernel.assign_add(0.01 * np.ones(kernel.shape, np.float32))
    heads = [on_backbone(network, seed) for seed, network in ((2, backbone), (3, trained_on), (4, backbone))]
    return [familiar(network) for network in (scratch_network(SIDE, 3, 0.1), *heads)]


@pytest.fixture(scope="module")
def files(tmp_path_factory, draw_photo):
    folder = tmp_path_factory.mktemp("pictures")
    names = [folder / f"{number:02}.png" for number in range(BATCH_SIZE + 5)]
    for number, file in enumerate(names):
        draw_photo(number, (PREPARED, PREPARED)).save(file)
    return names


def test_joined_networks_give_the_very_bits_that_each_gives_alone_in_the_order_of_the_files(networks, files):
    pictures = np.stack([read_picture(file, SIDE) for file in files])
    alone = [network.predict(pictures, batch_size=BATCH_SIZE, verbose=0) for network in networks]
    together = predict_pictures(join_networks(networks), files, "test")
    differences = [largest_differences(found, one) for found, one in zip(together, alone, strict=True)]
    assert differences == [{FAMILIARITY: 0, PROBABILITIES: 0}] * 4
    assert len({found[PROBABILITIES].tobytes() for found in together}) == 4
    of_cnn, first, trained_on, second = (found[FAMILIARITY].tobytes() for found in together)
    assert first == second, "it is the backbone's, whatever the head"
    assert len({of_cnn, first, trained_on}) == 3


def test_what_is_equal_runs_once_and_what_was_trained_on_runs_again(networks, kind):
    joined = join_networks(networks)
    convolutions = [layer for layer in joined.layers if isinstance(layer, layers.Conv2D)]
    assert len(convolutions) == 4 + BACKBONES[kind][1] + 1  # of the CNN, of the backbone, and the one that differs
    compared = [layer for layer in joined.layers if layer.name.startswith(COSINES)]
    assert len(compared) == 3, "of the CNN, of the backbone, and of what was trained on"


def test_no_more_than_a_few_batches_of_pictures_are_in_memory(networks, files, monkeypatch):
    seen = []
    joined = join_networks(networks[:1])
    predict = joined.predict_on_batch
    monkeypatch.setattr(joined, "predict_on_batch", lambda batch: seen.append(len(batch)) or predict(batch))
    predict_pictures(joined, files, "test")
    assert seen == [BATCH_SIZE, 5]


# What is kept of the answers


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Answers of all models about two photos of val, as the stage writes them, family by family."""
    monkeypatch.chdir(tmp_path)
    photos, actual = ["Löwchen/a, b.jpg", "NA/1.png"], ["Löwchen", "NA"]
    probabilities = {
        model: np.random.default_rng(place).dirichlet([1, 1], 2).astype(np.float32)
        for place, model in enumerate(MODELS)
    }
    familiarity = {model: of_model[:, 0] for model, of_model in probabilities.items()}
    for family, models in FAMILIES.items():
        folder = paths.PREDICTIONS / family
        folder.mkdir(parents=True)
        of_family = ({model: of_all[model] for model in models} for of_all in (probabilities, familiarity))
        write_predictions(folder, "val", Predictions(photos, actual, *of_family))
        write_models(folder, {model: {"breeds": ["Löwchen", "NA"], "parameters": 7} for model in models})
    return Predictions(photos, actual, probabilities, familiarity)


def test_answers_are_read_as_they_were_written_whatever_photos_and_breeds_are_called(kept):
    found = read_predictions(FAMILIES, "val")
    assert (found.photos, found.actual) == (kept.photos, kept.actual)
    for of_all, were in ((found.probabilities, kept.probabilities), (found.familiarity, kept.familiarity)):
        assert list(of_all) == MODELS
        for model, values in were.items():
            assert of_all[model].dtype == np.float32
            np.testing.assert_array_equal(of_all[model], values)


@pytest.mark.usefixtures("kept")
def test_what_is_known_of_the_models_is_read_for_all_families_in_their_order():
    assert read_models(FAMILIES) == {model: {"breeds": ["Löwchen", "NA"], "parameters": 7} for model in MODELS}
    assert list(read_models(FAMILIES)) == MODELS


@pytest.mark.usefixtures("kept")
def test_families_that_are_not_asked_for_are_left_out():
    wanted = {family: FAMILIES[family] for family in ("B", "scratch")}
    found = read_predictions(wanted, "val")
    assert list(read_models(wanted)) == list(found.probabilities) == list(found.familiarity)
    assert list(read_models(wanted)) == [*FAMILIES["B"], *FAMILIES["scratch"]]


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(("old", "new"), [("1.png", "2.png"), (",NA", ",Pug")], ids=["photo", "breed"])
def test_families_that_were_asked_about_other_photos_are_not_compared(old, new):
    listed = paths.PREDICTIONS / "scratch/val.csv"
    listed.write_text(listed.read_text().replace(old, new))
    with pytest.raises(ValueError, match="data/predictions: the families were asked about other photos of val"):
        read_predictions(FAMILIES, "val")


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("file", ["scratch_plain.val.npy", "scratch_plain.val.familiarity.npy"])
def test_answers_with_pickled_objects_in_them_are_not_opened(file):
    np.save(paths.PREDICTIONS / "scratch" / file, np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_predictions(FAMILIES, "val")


def test_the_stage_asks_each_model_of_its_family_about_val_test_and_unknown_photos(
    tmp_path, draw_photo, write_params, run_stage
):
    """Both views of a photo at the networks' size; the answers are those that each model gives alone.

    Familiarity is that of the photo itself.
    """
    write_params(tmp_path / "params.yaml", **{"evaluate.views": 2})
    asked = {}
    for place, model in enumerate(FAMILIES["scratch"]):
        keras.utils.set_random_seed(place)
        classifier = small_classifier(scratch_network(SIDE, 2, 0.1), ["A", "B"], size=PREPARED, seed=place)
        asked[model] = classifier.network
        save_classifier(classifier, tmp_path / f"models/{model}.keras")
    of_splits = (f"prepared/{file}" for file in ("val/A/x.jpg.png", "test/A/y.jpg.png", "test/B/z.png.png"))
    for place, file in enumerate(
        (*of_splits, "prepared_unknown/photos/cats/c.jpg.png", "prepared_unknown/photos/d.jpg.png")
    ):
        (tmp_path / "data" / file).parent.mkdir(parents=True, exist_ok=True)
        draw_photo(place, (PREPARED, PREPARED)).save(tmp_path / "data" / file)
    assert run_stage(predictions.main, tmp_path, "scratch") == 0

    folder = tmp_path / "data/predictions/scratch"
    assert (folder / "val.csv").read_text() == "photo,breed\nA/x.jpg,A\n"
    assert (folder / "test.csv").read_text() == "photo,breed\nA/y.jpg,A\nB/z.png,B\n"
    listed = sorted((folder / "unknown.csv").read_text().splitlines())
    assert [line.split(",")[0] for line in listed] == ["cats/c.jpg", "d.jpg", "photo"]
    pictures = {
        split: np.stack([read_picture(file, SIDE) for file in find_pictures(tmp_path / "data" / place)[0]])
        for split, place in (("test", "prepared/test"), ("unknown", "prepared_unknown/photos"))
    }
    known = json.loads((folder / "models.json").read_text())
    for model, network in asked.items():
        for split, of_split in pictures.items():
            alone, mirrored = (network.predict_on_batch(each) for each in (of_split, of_split[:, :, ::-1]))
            expected = (alone[PROBABILITIES] + mirrored[PROBABILITIES]) / 2
            assert np.load(folder / f"{model}.{split}.npy") == pytest.approx(expected, abs=1e-6)
            familiarity = np.load(folder / f"{model}.{split}.familiarity.npy")
            assert familiarity == pytest.approx(alone[FAMILIARITY], abs=1e-6)
        file = tmp_path / f"models/{model}.keras"
        assert known[model] == {
            "breeds": ["A", "B"],
            "known_familiarity": KNOWN,
            "parameters": network.count_params(),
            "megabytes": round(file.stat().st_size / 1e6, 1),
            "sha256": hash_file(file),
        }
    costs = json.loads((tmp_path / "metrics/costs/predictions/scratch.json").read_text())
    assert list(costs) == list(asked)
    assert all(list(each) == ["milliseconds_batch_1"] for each in costs.values())
