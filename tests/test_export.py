"""The best model in other formats: it answers as Keras' does, says what it is, and a damaged file is found out."""

import hashlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np
import onnx
import pandas as pd
import pytest
import yaml
from ai_edge_litert.interpreter import Interpreter
from conftest import slow_but
from PIL import Image
from pipeline_fixtures import ROOT, Repository
from small_classifiers import KNOWN, assert_close, familiar, largest_differences, seeded_head, small_classifier

from stages import convert, export, predict
from stages.lib.backbones.build import build_backbone
from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.core.errors import UserError
from stages.lib.core.evaluated import read_evaluation
from stages.lib.core.hashes import hash_file
from stages.lib.core.params import load_params
from stages.lib.core.prose import percent
from stages.lib.core.registry import NETWORKS
from stages.lib.core.shrinking import shrink
from stages.lib.datasets.pictures import find_pictures, name_photos
from stages.lib.datasets.predictions import Predictions, write_models, write_predictions
from stages.lib.exporting import conversion, exported
from stages.lib.exporting.about import About, describe
from stages.lib.exporting.card import write_card
from stages.lib.exporting.parity import Parity, compare
from stages.lib.images.photos import to_square
from stages.lib.inference.predictions import predict_pictures
from stages.lib.networks.classifiers import join, scratch_network
from stages.lib.networks.graphs import average_views
from stages.lib.networks.model_files import load_classifier, save_classifier
from stages.lib.serving.trained_models import NONE_OF_THESE, find_export, load_model

BREEDS = ["Cairn", "Grand Bleu de Gascogne", "Löwchen"]
SIDE, PREPARED_SIDE = 32, 48  # pixels
THRESHOLD, FAMILIARITY_THRESHOLD = 0.515, 0.04  # of both of which the drawn photos fall on both sides
SCORES = {
    "accuracy": 0.75, "accuracy_low": 0.468, "accuracy_high": 0.911, "macro_f1": 0.7, "macro_f1_low": 0.4,
    "macro_f1_high": 0.9, "log_loss": 0.8, "brier": 0.4, "ece": 0.1, "coverage": 0.5, "selective_accuracy": 0.8,
    "turned_away": 0.25, "turned_away_low": 0.1, "turned_away_high": 0.5, "unknown_photos": 60,
    "unknown_turned_away": 0.9, "unknown_turned_away_low": 0.8, "unknown_turned_away_high": 0.95,
}  # fmt: skip
CAVEATS = ["These are drawn pictures.", "Fewer than 20 test photos."]
INT8 = exported.FORMATS["tflite_int8"].file
FILES = {name: each.file for name, each in exported.FORMATS.items() if each.file != INT8}  # that are always made
ARTIFACTS = yaml.safe_load((ROOT / "dvc.yaml").read_text())["artifacts"]
CLOSE = {"onnx": 1e-5, "tflite": 1e-5, "tflite_float16": 2e-3}  # probabilities of an untrained network
# the two of params.yaml, and the one with operations that tf2onnx does not know; EXPORT_BACKBONES=all: every one but
# MobileNetV3Large, whose last maps are 1e-11 where nothing has trained it: too small for float16
WHOLE_BACKBONES = ["VGG16", "ConvNeXtTiny", "EfficientNetLite2"]
if os.environ.get("EXPORT_BACKBONES") == "all":
    WHOLE_BACKBONES = [name for name in NETWORKS if name != "MobileNetV3Large"]
each_format = pytest.mark.parametrize("name", FILES)


def untrained() -> keras.Model:
    """A network whose answers differ from photo to photo, for which Keras' first weights are too small."""
    keras.utils.set_random_seed(1)
    network = scratch_network(SIDE, len(BREEDS), dropout=0.1)
    kernel, _ = network.layers[-1].get_weights()
    network.layers[-1].set_weights([40 * kernel, np.array([1.8, 4.8, -3.6])])
    return network


def write_answers(folder: Path, views: int) -> None:
    """Write what the model answers about the test photos, as `stages.predictions` does."""
    model = folder / "models/scratch_plain.keras"
    network = average_views(load_classifier(model).network, views)
    test = folder / "data/prepared/test"
    pictures, breeds = find_pictures(test)
    answers = predict_pictures(network, pictures, "test")
    outputs = ({"scratch_plain": answers[name]} for name in (PROBABILITIES, FAMILIARITY))
    family = folder / "data/predictions/scratch"
    family.mkdir(parents=True)
    write_predictions(family, "test", Predictions(name_photos(pictures, test), breeds, *outputs))
    write_models(family, {"scratch_plain": {"sha256": hash_file(model)}})


def make_folder(folder: Path, draw_photo, network: keras.Model, views: int = 1) -> Path:
    """What the stages read: a model, four test photos of each breed, and what it and evaluate said of them."""
    model = folder / "models/scratch_plain.keras"
    save_classifier(small_classifier(network, BREEDS, "pad", PREPARED_SIDE), model)
    (folder / "metrics").mkdir()
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    digest = hash_file(model)
    scores = SCORES | {"threshold": THRESHOLD, "familiarity_threshold": FAMILIARITY_THRESHOLD, "sha256": digest}
    said = {"scratch_plain": scores, "best": "scratch_plain", "best_sha256": digest, "views": views, "caveats": CAVEATS}
    (folder / "metrics/prepare.json").write_text(json.dumps({"photos": 24, "train": 9, "val": 3, "test": 12}))
    (folder / "plots").mkdir()
    rows = [f"{model},{breed},0.5,{recall},0.5,4" for model in ("scratch_plain", "VGG16_finetune")
            for breed, recall in zip(BREEDS, (0.25, 0.5, 1), strict=True)]  # fmt: skip
    head = "model,breed,precision,recall,f1,support"
    (folder / "plots/classification_report.csv").write_text("\n".join([head, *rows, ""]), encoding="utf-8")
    (folder / "metrics/evaluate.json").write_text(json.dumps(said))
    for place, breed in enumerate(BREEDS):
        (folder / "data/prepared/test" / breed).mkdir(parents=True)
        for number in range(4):
            photo = draw_photo(10 * place + number, (PREPARED_SIDE, PREPARED_SIDE))
            photo.save(folder / "data/prepared/test" / breed / f"{number}.png")
    shutil.copytree(folder / "data/prepared/test", folder / "data/prepared/train")
    write_answers(folder, views)
    return folder


def write_exported(network: bytes, path: Path, **changes: object) -> None:
    """Label a converted network, as the stage does; ``changes`` are of what there is to know of it."""
    about = About(
        model="scratch_plain", keras_sha256="0", licence="", description="", breeds=BREEDS, resize="crop",
        prepared_size=PREPARED_SIDE, threshold=THRESHOLD, familiarity_threshold=FAMILIARITY_THRESHOLD,
        known_familiarity=KNOWN, views=1,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pydantic of what it does not check
        path.write_bytes(exported.LABELLERS[path.suffix](network, about.model_copy(update=changes)))


@pytest.fixture(scope="module")
def made(tmp_path_factory, draw_photo, run_stage):
    """A folder in which the stages ran."""
    folder = make_folder(tmp_path_factory.mktemp("export"), draw_photo, untrained())
    assert [run_stage(stage.main, folder) for stage in (convert, export)] == [0, 0]
    return folder


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module", params=[1, 2])
def with_int8(request, tmp_path_factory, draw_photo, run_stage):
    """A folder in which the stages ran with `export.int8`, and over how many views of a photo its models average."""
    folder = make_folder(tmp_path_factory.mktemp("int8"), draw_photo, untrained(), request.param)
    params = yaml.safe_load((folder / "params.yaml").read_text())
    params["export"]["int8"] = True
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    assert [run_stage(stage.main, folder) for stage in (convert, export)] == [0, 0]
    return folder, request.param


@each_format
@pytest.mark.parametrize("count", [1, 5])
def test_an_exported_model_gives_what_keras_gives_for_any_number_of_photos(made, photos, name, count):
    found = exported.load_exported(made / "models/exported" / FILES[name])
    expected = familiar(untrained()).predict_on_batch(photos[:count])
    assert found.classifier.network.input_shape == (None, SIDE, SIDE, 3)
    assert found.classifier.network.output_shape == [(None,), (None, len(BREEDS))]
    assert_close(found.classifier.network.predict_on_batch(photos[:count]), expected, CLOSE[name])
    assert found.classifier.breeds == BREEDS
    assert (found.classifier.resize, found.classifier.prepared_size) == ("pad", PREPARED_SIDE)
    assert (found.about.threshold, found.about.familiarity_threshold) == (THRESHOLD, FAMILIARITY_THRESHOLD)
    assert found.classifier.known_familiarity == found.about.known_familiarity == KNOWN


def predict_with_rounded_weights(network: keras.Model, photos: np.ndarray) -> dict[str, np.ndarray]:
    """What Keras answers where every weight is rounded to float16, which the layers of a deep network add up."""
    weights = network.get_weights()
    network.set_weights([weight.astype(np.float16).astype(np.float32) for weight in weights])
    rounded = network.predict_on_batch(photos)
    network.set_weights(weights)
    return rounded


def check_that_all_formats_answer_alike(network: keras.Model, folder: Path) -> None:
    """Export a network, and ask it and what was written about photos that are the darker the later they come."""
    save_classifier(small_classifier(network, BREEDS), folder / "it.keras")
    classifier = load_classifier(folder / "it.keras")
    noise = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3))
    darker = (noise // np.arange(1, 5).reshape(4, 1, 1, 1)).astype(np.uint8)
    expected = classifier.network.predict_on_batch(darker)
    networks = [conversion.to_onnx(classifier.network), *conversion.to_tflite(classifier.network)]
    converted = dict(zip(FILES, networks, strict=True))
    rounding = max(largest_differences(predict_with_rounded_weights(classifier.network, darker), expected).values())
    close = CLOSE | {"tflite_float16": max(CLOSE["tflite_float16"], 2 * rounding)}  # batch norms are folded in first
    spread = np.ptp(expected[PROBABILITIES], axis=0).max()
    assert spread > 5 * max(close.values()), "all the same: this would find no fault"
    for name, file in FILES.items():
        write_exported(converted[name], folder / file)
        found = exported.load_exported(folder / file).classifier.network.predict_on_batch(darker)
        assert_close(found, expected, close[name])


def test_averaged_views_are_part_of_each_exported_model(tmp_path, draw_photo, run_stage, photos):
    make_folder(tmp_path, draw_photo, untrained(), views=2)
    assert [run_stage(stage.main, tmp_path) for stage in (convert, export)] == [0, 0]
    network = familiar(untrained())
    expected, alone = average_views(network, 2).predict_on_batch(photos), network.predict_on_batch(photos)
    assert np.abs(expected[PROBABILITIES] - alone[PROBABILITIES]).max() > 10 * max(CLOSE.values())
    np.testing.assert_allclose(expected[FAMILIARITY], alone[FAMILIARITY], atol=1e-6)
    for name, file in FILES.items():
        found = exported.load_exported(tmp_path / "models/exported" / file).classifier.network
        assert_close(found.predict_on_batch(photos), expected, CLOSE[name])


def put_head_on(backbone: keras.Model) -> keras.Model:
    keras.utils.set_random_seed(1)
    return join(backbone, seeded_head(backbone.output_shape[-1], len(BREEDS)))


def beginning_of(name: str) -> keras.Model:
    """A backbone up to the first layer that learns, which is enough to see what that is given, and a head."""
    keras.utils.set_random_seed(1)
    backbone = build_backbone(name, SIDE)
    first = next(layer for layer in backbone.layers if layer.trainable_weights)
    return put_head_on(keras.Model(backbone.input, first.output))


@pytest.mark.parametrize("name", slow_but(NETWORKS, "VGG16", "EfficientNetV2B0"))
def test_a_backbone_takes_its_preprocessing_along(tmp_path, name):
    """The means that VGG16 and EfficientNet take off once became further inputs of the ONNX network."""
    check_that_all_formats_answer_alike(beginning_of(name), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE_BACKBONES)
def test_a_whole_backbone_answers_as_in_keras(tmp_path, photos, name):
    keras.utils.set_random_seed(1)
    backbone = build_backbone(name, SIDE)
    spread = backbone.predict_on_batch(photos).std()  # of EfficientNetV2B0 0.002, as nothing has trained it
    scaled = keras.layers.Rescaling(1 / spread)(backbone.output)
    check_that_all_formats_answer_alike(put_head_on(keras.Model(backbone.input, scaled)), tmp_path)


@pytest.mark.parametrize("use_bias", slow_but([True, False], True))
def test_a_convolution_in_as_many_groups_as_channels_and_gelu_answer_as_in_keras(tmp_path, use_bias):
    """As ConvNeXt has them, with its GELU: tf2onnx can't look into what XLA compiles, and knows no such activation."""
    keras.utils.set_random_seed(1)
    photo = keras.Input((SIDE, SIDE, 3), name="photo")
    scaled = keras.layers.Rescaling(1 / 50)(photo)
    convolution = keras.layers.Conv2D(
        3, (5, 3), strides=2, padding="same", groups=3, use_bias=use_bias,
        bias_initializer=keras.initializers.RandomNormal(seed=1),
    )  # fmt: skip
    maps = keras.layers.Activation("gelu")(convolution(scaled))
    check_that_all_formats_answer_alike(put_head_on(keras.Model(photo, maps)), tmp_path)


@pytest.mark.parametrize(("count", "expected"), [(10, [1, 2, 7]), (3, [0, 1, 2]), (20, [2, 4, 14]), (99, [2, 4, 14])])
def test_photos_to_compare_on_are_so_many_at_most_and_each_breed_has_its_share(count, expected):
    photos = dict(zip(BREEDS, (2, 4, 14), strict=True))
    pictures = [Path(breed, f"{number:02}.png") for breed, most in photos.items() for number in range(most)]
    found = convert.spread(pictures, count)
    assert found == sorted(set(found))
    assert set(found) <= set(pictures)
    assert [sum(each.parts[0] == breed for each in found) for breed in BREEDS] == expected


def test_the_stages_measure_parity_size_and_time_of_each_format(made):
    found = json.loads((made / "metrics/export.json").read_text())
    assert list(found) == ["model", "views", "parity_photos", *FILES]
    assert (found["model"], found["parity_photos"]) == ("scratch_plain", 12)
    measured = ["largest_difference", "largest_difference_of_familiarity", "equal_answers"]
    assert [list(found[name]) for name in FILES] == [measured] * 3
    assert [found[name]["equal_answers"] for name in FILES] == [1, 1, 1]
    for name in measured[:2]:
        assert 0 < found["tflite_float16"][name] < CLOSE["tflite_float16"]
    costs = json.loads((made / "metrics/costs/convert.json").read_text())
    assert list(costs) == ["keras", *FILES]
    assert all(list(row) == ["megabytes", "milliseconds_batch_1"] for row in costs.values())
    sizes = {name: (made / "models/exported" / file).stat().st_size for name, file in FILES.items()}
    assert sizes["tflite_float16"] < 0.55 * sizes["tflite"]
    assert list(made.rglob("*.partial*")) == []


def test_each_photo_that_is_compared_on_is_held_against_what_keras_said_of_it(
    made, tmp_path, run_stage, write_params, monkeypatch
):
    folder = shutil.copytree(made, tmp_path / "again")
    (folder / "params.yaml").unlink()  # it may be a link
    write_params(folder / "params.yaml", **{"export.parity_photos": 4})
    networks = [(made / "data/converted" / file).read_bytes() for file in FILES.values()]
    monkeypatch.setattr(convert, "to_onnx", lambda _network: networks[0])
    monkeypatch.setattr(convert, "to_tflite", lambda _network: tuple(networks[1:]))
    assert [run_stage(stage.main, folder) for stage in (convert, export)] == [0, 0]
    compared = json.loads((folder / "data/converted/about.json").read_text())["photos"]
    assert compared == ["Cairn/1", "Grand Bleu de Gascogne/0", "Grand Bleu de Gascogne/3", "Löwchen/2"]
    found = json.loads((folder / "metrics/export.json").read_text())
    assert found["parity_photos"] == 4
    assert all(found[name]["largest_difference"] < CLOSE[name] for name in FILES)


@pytest.mark.parametrize("count", [1, 12])
def test_in_8_bits_photos_go_in_as_bytes_and_the_answers_are_nearly_those_of_keras(with_int8, count):
    folder, views = with_int8
    test = folder / "data/prepared/test"
    drawn = [Image.open(file) for file in sorted(test.rglob("*.png"))][:count]
    photos = np.stack([np.asarray(shrink(photo.convert("RGB"), SIDE)) for photo in drawn])
    found = exported.load_exported(folder / "models/exported" / INT8)
    expected = average_views(familiar(untrained()), views).predict_on_batch(photos)
    assert_close(found.classifier.network.predict_on_batch(photos), expected, 0.05)
    network = Interpreter(str(folder / "models/exported" / INT8))
    assert [each["dtype"] for each in network.get_input_details()] == [np.uint8]
    operations = {each["op_name"] for each in network._get_ops_details()}
    convolved = [tensor["dtype"] for tensor in network.get_tensor_details() if "convolution" in tensor["name"].lower()]
    assert "CONV_2D" in operations
    assert convolved
    assert np.float32 not in convolved
    assert found.about.description.startswith("photo: uint8 (n, 32, 32, 3)")


def test_in_8_bits_it_is_told_how_often_it_answers_as_keras_does(with_int8):
    folder, _ = with_int8
    found = json.loads((folder / "metrics/export.json").read_text())
    assert list(found) == ["model", "views", "parity_photos", *FILES, "tflite_int8"]
    share = found["tflite_int8"]["equal_answers"]
    assert 0 < found["tflite_int8"]["largest_difference"] < 0.05
    card = (folder / "models/exported/README.md").read_text()
    assert f"Only `best-int8.tflite` may: it gives the same to {percent(share)} of them." in card
    assert "| `best-int8.tflite` |" in card
    sizes = {file: (folder / "models/exported" / file).stat().st_size for file in (INT8, FILES["tflite"])}
    assert sizes[INT8] < 0.35 * sizes[FILES["tflite"]]


def test_without_int8_nothing_speaks_of_it(made):
    assert sorted(file.name for file in (made / "models/exported").iterdir()) == sorted(["README.md", *FILES.values()])
    assert "int8" not in (made / "models/exported/README.md").read_text()


@pytest.mark.parametrize("stage", [convert, export])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "There is no metrics/evaluate.json to tell the best model: run `dvc repro` first."),
        ("<<<<<<< HEAD", "metrics/evaluate.json is not as evaluate wrote it ("),
    ],
)
def test_a_stage_before_evaluate_tells_in_one_line_what_to_run_first(
    tmp_path, run_stage, capsys, contents, content, told, stage
):
    if content is not None:
        (tmp_path / "metrics").mkdir()
        (tmp_path / "metrics/evaluate.json").write_text(content)
    before = contents(tmp_path)
    assert run_stage(stage.main, tmp_path) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {told}")
    assert contents(tmp_path) == before


def test_a_model_that_is_not_there_is_told_in_one_line(tmp_path, run_stage, capsys, contents):
    (tmp_path / "metrics").mkdir()
    said = {
        "best": "VGG16_finetune",
        "best_sha256": "0",
        "views": 1,
        "VGG16_finetune": {"threshold": 0.5, "familiarity_threshold": None},
    }
    (tmp_path / "metrics/evaluate.json").write_text(json.dumps(said))
    before = contents(tmp_path)
    assert run_stage(convert.main, tmp_path) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: models/VGG16_finetune.keras is not here: ")
    assert contents(tmp_path) == before


# In a repository


def fill_up(folder: Path, root: Path) -> Path:
    """Put what DVC takes for granted beside what the stages read and made."""
    for model in set(load_params(root / "params.yaml").models) - {"scratch_plain"}:
        shutil.copyfile(folder / "models/scratch_plain.keras", folder / f"models/{model}.keras")
    shutil.copyfile(root / "params.yaml", folder / "params.yaml")
    return folder


@pytest.fixture(scope="module")
def registered(made, tmp_path_factory, root):
    """A repository whose exported models are in DVC's care, committed, tagged and pushed, and a clone of it."""
    folder = tmp_path_factory.mktemp("registry")
    shutil.copytree(made, folder / "ours", ignore=shutil.ignore_patterns("params.yaml"))
    repository = Repository(fill_up(folder / "ours", root))
    repository.dvc("commit", "--force", "convert", "export")
    repository.dvc("remote", "add", "--default", "storage", str(folder / "storage"))
    repository.commit()
    for name in ARTIFACTS:
        repository.git("tag", "--annotate", f"{name}@v1.0.0", "--message", "The first")
    repository.dvc("push", "export")
    repository.git("clone", "--quiet", ".", "../clone")
    return repository


@pytest.mark.parametrize(("name", "place"), [*zip(ARTIFACTS, [".", "../clone", "its address", "."], strict=True)])
def test_dvc_artifacts_get_fetches_each_model_from_a_clone_an_address_and_the_repository(registered, name, place):
    """A clone has no cache: what is asked for comes from the remote."""
    address = registered.root.as_uri() if place == "its address" else place
    version = ["--rev", "v1.0.0"] if place == "." else []  # the last one where none is asked for
    registered.dvc("artifacts", "get", address, name, "--out", "fetched", *version)
    found, expected = registered.root / "fetched", registered.root / ARTIFACTS[name]["path"]
    if expected.is_dir():
        assert sorted(each.name for each in found.iterdir()) == ["README.md", *sorted(FILES.values())]
        assert all(each.read_bytes() == (expected / each.name).read_bytes() for each in found.iterdir())
        shutil.rmtree(found)
    else:
        assert found.read_bytes() == expected.read_bytes()
        found.unlink()


@pytest.mark.slow
def test_exporting_again_in_another_process_makes_the_same_bytes(tmp_path, draw_photo, root, contents):
    """With VGG16's preprocessing, tf2onnx kept another of two equal constants each time."""
    repository = Repository(fill_up(make_folder(tmp_path, draw_photo, beginning_of("VGG16")), root))
    made = []
    for seed in "12":
        for stage in ("convert", "export"):
            repository.python("-m", f"stages.{stage}", PYTHONHASHSEED=seed)
        made.append({path: content for path, content in contents(tmp_path).items() if is_result(path)})
    before, after = made
    assert "metrics/export.json" in before
    assert [path for path in before | after if before.get(path) != after.get(path)] == []


def is_result(path: str) -> bool:
    return path == "metrics/export.json" or path.startswith("models/exported/")


def test_onnx_tells_what_it_is_to_any_reader(made):
    proto = onnx.load(made / "models/exported/best.onnx")
    onnx.checker.check_model(proto, full_check=True)
    shapes = {
        each.name: [size.dim_param or size.dim_value for size in each.type.tensor_type.shape.dim]
        for each in (*proto.graph.input, *proto.graph.output)
    }
    assert shapes == {"photo": ["batch", SIDE, SIDE, 3], FAMILIARITY: ["batch"], PROBABILITIES: ["batch", 3]}
    told = {entry.key: json.loads(entry.value) for entry in proto.metadata_props if entry.key != "sha256"}
    assert (told.pop("breeds"), told.pop("threshold"), told.pop("resize")) == (BREEDS, THRESHOLD, "pad")
    assert told.pop("prepared_size") == PREPARED_SIDE
    assert (told.pop("familiarity_threshold"), told.pop("known_familiarity")) == (FAMILIARITY_THRESHOLD, KNOWN)
    assert told.pop("description") == proto.doc_string
    assert (
        "photo: float32 (n, 32, 32, 3), red-green-blue 0-255, made square by resize=pad at 48 pixels"
        in proto.doc_string
    )
    digest = hashlib.sha256((made / "models/scratch_plain.keras").read_bytes()).hexdigest()
    assert told.pop("licence") == "no pretrained weights"
    assert told == {"model": "scratch_plain", "keras_sha256": digest, "views": 1}
    assert {each.domain: each.version for each in proto.opset_import}[""] == conversion.OPSET


@each_format
def test_an_exported_file_is_known_as_long_as_evaluate_speaks_of_the_model_that_it_was_made_from(
    made, monkeypatch, name
):
    monkeypatch.chdir(made)
    path, evaluation = Path("models/exported") / FILES[name], read_evaluation()
    assert load_model(path, evaluation, 0.05).name == "scratch_plain"
    again = evaluation | {"best_sha256": "of one that was trained again"}
    assert load_model(path, again, 0.05).name is None


@pytest.mark.parametrize(
    ("side", "views", "told"),
    [
        (128, 1, "made square by resize=crop at 260 pixels, then shrunk to 128; probabilities: "),
        (260, 1, "made square by resize=crop; probabilities: "),
        (260, 1, "; familiarity: float32 (n,); none of these breeds where it is below familiarity_threshold"),
        (260, 2, "; probabilities are means over the photo and its mirror image, which the network makes itself"),
    ],
)
def test_what_goes_in_and_comes_out_is_told_in_words(side, views, told):
    description = describe(side, BREEDS, "crop", 260, views)
    assert description.startswith(f"photo: float32 (n, {side}, {side}, 3), red-green-blue 0-255, made square by ")
    assert told in description


@pytest.mark.parametrize("file", ["best.tflite", "best-float16.tflite"])
def test_tensorflow_lite_tells_what_it_is_to_any_unzip(made, file):
    with zipfile.ZipFile(made / "models/exported" / file) as archive:
        assert archive.read("labels.txt").decode() == "".join(f"{breed}\n" for breed in BREEDS)
        told = json.loads(archive.read("metadata.json"))
    assert (told["breeds"], told["threshold"], told["resize"]) == (BREEDS, THRESHOLD, "pad")
    assert told["prepared_size"] == PREPARED_SIDE
    assert (told["familiarity_threshold"], told["known_familiarity"]) == (FAMILIARITY_THRESHOLD, KNOWN)


# Answers that differ


def outputs_of(probabilities: np.ndarray, familiarity: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """What a network would have given; all photos are equally familiar if nothing else is said."""
    return {
        PROBABILITIES: probabilities,
        FAMILIARITY: np.full(len(probabilities), 0.5) if familiarity is None else np.array(familiarity),
    }


def compare_probabilities(expected: np.ndarray, found: np.ndarray, threshold: float | None, tie: float) -> Parity:
    return compare(outputs_of(expected), outputs_of(found), threshold, None, tie)


def test_an_answer_differs_by_breed_or_by_sureness_unless_it_was_a_tie():
    expected = np.array([[0.6, 0.4], [0.6, 0.4], [0.5001, 0.4999], [0.61, 0.39], [0.58, 0.42], [0.5801, 0.4199]])
    found = np.array([[0.59, 0.41], [0.4, 0.6], [0.4999, 0.5001], [0.57, 0.43], [0.58, 0.42], [0.5799, 0.4201]])
    parity = compare_probabilities(expected, found, threshold=0.58, tie=1e-3)
    assert parity.differing.tolist() == [1, 3]
    assert parity.equal_answers == pytest.approx(2 / 6)
    assert parity.largest_difference == pytest.approx(0.2)
    assert parity.largest_difference_of_familiarity == 0
    assert compare_probabilities(expected, found, threshold=None, tie=1e-3).differing.tolist() == [1]
    assert compare_probabilities(expected, found, threshold=None, tie=0.25).differing.tolist() == []


def test_an_answer_differs_by_what_is_none_of_the_breeds_unless_it_was_a_tie():
    same = np.tile([0.6, 0.4], (5, 1))
    expected, found = (
        outputs_of(same, familiarity)
        for familiarity in ([0.5, 0.30, 0.3005, 0.3, 0.9], [0.5, 0.32, 0.2995, 0.2999999, 0.31])
    )
    parity = compare(expected, found, None, familiarity_threshold=0.31, tie=1e-3)
    assert parity.differing.tolist() == [1]
    assert parity.equal_answers == pytest.approx(4 / 5)
    assert parity.largest_difference_of_familiarity == pytest.approx(0.59)
    assert parity.largest_difference == 0
    parity = compare(expected, found, None, familiarity_threshold=0.3, tie=1e-3)
    assert (parity.differing.tolist(), parity.equal_answers) == ([], pytest.approx(4 / 5)), "that was a tie"
    assert compare(expected, found, None, None, tie=1e-3).equal_answers == 1, "nothing is turned away"


def test_probabilities_that_are_no_numbers_are_another_answer_and_no_tie():
    expected = np.array([[0.6, 0.4], [0.6, 0.4]])
    found = np.array([[np.nan, np.nan], [0.6, 0.4]])
    for threshold in (None, 0.5, 0.7):
        assert compare_probabilities(expected, found, threshold, tie=1).differing.tolist() == [0]


def test_a_familiarity_that_is_no_number_is_another_answer_and_no_tie():
    probabilities = np.array([[0.6, 0.4], [0.6, 0.4]])
    expected, found = outputs_of(probabilities), outputs_of(probabilities, [0.5, np.nan])
    for threshold in (None, 0.5, 0.7):
        assert compare(expected, found, None, threshold, tie=1).differing.tolist() == [1]


def test_the_stage_fails_where_an_answer_differs_and_keeps_what_was_there(
    made, tmp_path, run_stage, monkeypatch, capsys, contents
):
    folder = shutil.copytree(made, tmp_path / "again")
    convert_to_onnx = convert.to_onnx

    def convert_another(network):
        another = keras.models.clone_model(network)
        another.set_weights([*network.get_weights()[:-1], np.array([0, 0, 1e3], np.float32)])
        return convert_to_onnx(another)

    def as_before(_network):
        return tuple((made / "data/converted" / FILES[name]).read_bytes() for name in ("tflite", "tflite_float16"))

    monkeypatch.setattr(convert, "to_onnx", convert_another)
    monkeypatch.setattr(convert, "to_tflite", as_before)
    assert run_stage(convert.main, folder) == 0
    before = contents(folder)
    capsys.readouterr()
    assert run_stage(export.main, folder) == 1
    first, *others = [line for line in capsys.readouterr().err.splitlines() if "answer" in line]
    assert first == "error: an exported model must answer as Keras' does:"
    assert others
    pattern = (
        r"best\.onnx answers Löwchen \(1\.0000, familiarity 0\.0\d{3}\) for .*, "
        r"where Keras answers .* \(0\.\d{4}, familiarity 0\.0\d{3}\)"
    )
    assert [line for line in others if not re.fullmatch(pattern, line)] == []
    assert contents(folder) == before


def test_answers_of_a_model_that_was_trained_again_since_are_not_compared_with(made, tmp_path, run_stage, capsys):
    folder = shutil.copytree(made, tmp_path / "again")
    write_models(folder / "data/predictions/scratch", {"scratch_plain": {"sha256": "another"}})
    assert run_stage(export.main, folder) == 1
    told = "error: data/predictions is of another scratch_plain than data/converted: run `dvc repro`.\n"
    assert capsys.readouterr().err == told


@each_format
def test_an_exported_network_can_be_sent_to_another_process(made, photos, name):
    network = exported.load_exported(made / "models/exported" / FILES[name]).classifier.network
    sent = pickle.loads(pickle.dumps(network))
    assert_close(sent.predict_on_batch(photos), network.predict_on_batch(photos), 0)


# predict


def call_predict(monkeypatch, capsys, *arguments: object) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["predict", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        predict.run(predict.main)
    return stopped.value.code, *capsys.readouterr()


@each_format
@pytest.mark.parametrize("place", ["", "elsewhere"])
def test_predict_takes_an_exported_model_which_needs_nothing_beside_it(
    made, root, tmp_path, monkeypatch, capsys, draw_photo, name, place
):
    """The same answers as from the .keras file, squared in the same way, and as sure, as far as 6 digits go."""
    (tmp_path / "params.yaml").symlink_to(root / "params.yaml")
    (tmp_path / "photos").mkdir()
    for number in range(4):
        draw_photo(number, (60, 40)).save(tmp_path / "photos" / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    model = made / "models/exported" / FILES[name]
    if place:
        model = (tmp_path / f"renamed{model.suffix}").write_bytes(model.read_bytes()) and f"renamed{model.suffix}"
    code, printed, complaint = call_predict(monkeypatch, capsys, "photos", "--json", "--model", model)
    assert (code, complaint) == (0, "")
    answers = json.loads(printed)
    monkeypatch.chdir(made)
    (made / "params.yaml").unlink(missing_ok=True)
    (made / "params.yaml").symlink_to(root / "params.yaml")
    expected = json.loads(call_predict(monkeypatch, capsys, tmp_path / "photos", "--json")[1])
    assert [answer["sure"] for answer in answers] == [answer["sure"] for answer in expected]
    assert {True, False} == {answer["sure"] for answer in answers} == {answer["unknown"] for answer in answers}
    assert [answer["unknown"] for answer in answers] == [answer["unknown"] for answer in expected]
    assert [answer["familiarity"] for answer in answers] == [answer["familiarity"] for answer in expected]
    for answer, other in zip(answers, expected, strict=True):
        one, two = ({row["breed"]: row["probability"] for row in each["breeds"]} for each in (answer, other))
        assert one == pytest.approx(two, abs=CLOSE[name])


@pytest.fixture
def copied(made, tmp_path, root, monkeypatch):
    """A copy of the folder in which the stages ran, to change something in."""
    folder = shutil.copytree(made, tmp_path / "copied", ignore=shutil.ignore_patterns("params.yaml"))
    (folder / "params.yaml").symlink_to(root / "params.yaml")
    monkeypatch.chdir(folder)
    return folder


def test_the_exported_file_answers_for_the_best_model_as_long_as_it_was_made_of_it(copied):
    path, evaluation = Path("models/scratch_plain.keras"), read_evaluation()
    found, of_keras = find_export(path, evaluation, 0.05), load_model(path, evaluation, 0.05)
    assert type(found.classifier.network).__name__ == "OnnxNetwork"
    assert found.classifier[1:] == of_keras.classifier[1:]
    assert (found.familiarity, found.threshold, found.name) == of_keras[2:]
    assert find_export(path, evaluation | {"best": "scratch_augmented"}, 0.05) is None
    assert find_export(path, evaluation | {"views": 2}, 0.05) is None
    assert find_export(path, {}, 0.05) is None
    assert find_export(Path("models/exported/best.tflite"), evaluation, 0.05) is None, "that was asked for"
    shutil.copyfile(path, "elsewhere.keras")
    assert find_export(Path("elsewhere.keras"), evaluation, 0.05) is None
    with path.open("ab") as file:
        file.write(b"trained again")
    assert find_export(path, evaluation, 0.05) is None
    shutil.copyfile("elsewhere.keras", path)
    (copied / "models/exported/best.onnx").unlink()
    assert find_export(path, evaluation, 0.05) is None


def test_without_the_best_models_file_its_export_answers_or_it_is_told_in_a_line(
    copied, monkeypatch, capsys, draw_photo
):
    draw_photo(1).save("dog.png")
    (copied / "models/scratch_plain.keras").unlink()
    code, _, complaint = call_predict(monkeypatch, capsys, "dog.png")
    assert (code, len(complaint.splitlines())) in ((0, 0), (1, 1)), "answered by the export, or told"


def test_a_damaged_or_outdated_export_costs_no_answer_of_the_best_keras_model(copied, monkeypatch, capsys, draw_photo):
    draw_photo(1).save("dog.png")
    (copied / "models/exported/best.onnx").write_bytes(b"of an earlier version")
    code, printed, complaint = call_predict(monkeypatch, capsys, "dog.png")
    assert (code, complaint) == (
        0,
        f"{predict.BY_KERAS}\n",
    )
    assert printed.startswith("dog.png\n")


def test_predict_says_of_an_exported_model_without_a_threshold_that_it_is_never_sure(
    made, tmp_path, root, draw_photo, monkeypatch, capsys
):
    write_exported((made / "data/converted/best.onnx").read_bytes(), tmp_path / "it.onnx", threshold=None)
    (tmp_path / "params.yaml").symlink_to(root / "params.yaml")
    draw_photo(1).save(tmp_path / "dog.png")
    monkeypatch.chdir(tmp_path)
    code, printed, _ = call_predict(monkeypatch, capsys, "dog.png", "--model", "it.onnx")
    assert code == 0
    assert "  not sure: this model never is, " in printed


@pytest.mark.parametrize("file", ["it.onnx", "it.keras"])
def test_predict_says_of_a_photo_that_is_none_of_the_breeds_that_instead_of_not_sure_and_lists_them_all_the_same(
    made, tmp_path, root, draw_photo, monkeypatch, capsys, file
):
    """A model from elsewhere has the threshold that evaluate.turned_away gives, an exported one its own."""
    if file.endswith(".keras"):
        classifier = load_classifier(made / "models/scratch_plain.keras")
        save_classifier(classifier._replace(known_familiarity=[0.5] * 19), tmp_path / file)
    else:
        write_exported(
            (made / "data/converted/best.onnx").read_bytes(), tmp_path / file, threshold=0.99,
            familiarity_threshold=0.5, known_familiarity=[0.5] * 19,
        )  # fmt: skip
    (tmp_path / "params.yaml").symlink_to(root / "params.yaml")
    draw_photo(1).save(tmp_path / "dog.png")
    monkeypatch.chdir(tmp_path)
    code, printed, _ = call_predict(monkeypatch, capsys, "dog.png", "--model", file)
    photo, told, *breeds = printed.splitlines()
    assert (code, photo, told) == (0, "dog.png", f"  {NONE_OF_THESE}")
    assert "not sure" not in printed
    assert sorted(line.split("  ")[1] for line in breeds) == BREEDS
    (answer,) = json.loads(call_predict(monkeypatch, capsys, "dog.png", "--model", file, "--json")[1])
    assert list(answer) == ["photo", "unknown", "familiarity", "sure", "breeds"]
    assert (answer["unknown"], answer["familiarity"]) == (True, 1 / 20)


@pytest.mark.parametrize(("number", "unknown"), [(3, True), (0, False)], ids=["unknown", "known"])
def test_the_lines_of_the_docs_for_onnxruntime_alone_give_the_answer_of_keras(
    made, tmp_path, root, draw_photo, number, unknown
):
    (lines,) = re.findall(
        r"```python\n(.*?best\.onnx.*?)```", (root / "docs/serving.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "models").symlink_to(made / "models")
    draw_photo(number).save(tmp_path / "my_dog.jpg", quality=95)
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300
    )
    picture = shrink(to_square(Image.open(tmp_path / "my_dog.jpg"), PREPARED_SIDE, "crop"), SIDE)
    found = familiar(untrained()).predict_on_batch(np.asarray(picture)[None])
    assert (found[FAMILIARITY][0] < FAMILIARITY_THRESHOLD) == unknown
    *told, answer = done.stdout.splitlines()
    assert told == ["none of these breeds"] * unknown
    (probabilities,) = found[PROBABILITIES]
    share, breed = answer.split(" ", 1)
    assert breed == BREEDS[probabilities.argmax()]
    assert float(share.rstrip("%")) == pytest.approx(100 * probabilities.max(), abs=0.1)


def read_card(folder: Path) -> tuple[dict, str]:
    _, head, text = (folder / "models/exported/README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), text


def test_the_card_has_the_numbers_of_the_exported_model_and_of_no_other(made):
    head, text = read_card(made)
    assert head["license"] == "other"
    (result,) = head["model-index"][0]["results"]
    assert {each["type"]: each["value"] for each in result["metrics"]} == {"accuracy": 0.75, "f1": 0.7}
    for line in (
        "| accuracy | 75.0 % | 46.8 % to 91.1 % |",
        "| of 60 photos of anything else, called none of these breeds | 90.0 % | 80.0 % to 95.0 % |",
        "| called none of these breeds, wrongly | 25.0 % | 10.0 % to 50.0 % |",
        "| Cairn | 25.0 % | 50.0 % | 4 |",
        *(f"- {caveat}" for caveat in CAVEATS),
    ):
        assert text.count(f"{line}\n") == 1, line
    assert "24 photos of data/sample: 9 to train on, 3 to choose by, 12 to test on" in " ".join(text.split())


@pytest.fixture
def write_own_card(made, tmp_path, draw_photo):
    """Files as somebody has them who fetched the folder, and a photo: the card, and what Keras says of the photo."""

    def write(resize: str) -> tuple[str, dict[str, np.ndarray]]:
        draw_photo(3, (90, 60)).save(tmp_path / "my_dog.jpg", quality=95)
        for file in ("best.onnx", "best.tflite"):
            write_exported((made / "data/converted" / file).read_bytes(), tmp_path / file, resize=resize)
        about = exported.load_exported(tmp_path / "best.onnx").about
        evaluation = json.loads((made / "metrics/evaluate.json").read_text())
        counts = json.loads((made / "metrics/prepare.json").read_text())
        card = write_card(about, SIDE, "data/sample", counts, evaluation, pd.DataFrame({"model": []}), 0.95, 12, None)
        picture = shrink(to_square(Image.open(tmp_path / "my_dog.jpg"), PREPARED_SIDE, resize), SIDE)
        return card, familiar(untrained()).predict_on_batch(np.asarray(picture)[None])

    return write


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_the_lines_of_the_card_in_python_give_the_answer_of_keras(write_own_card, tmp_path, resize):
    card, found = write_own_card(resize)
    snippets = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert ["best.onnx" in snippets[0], "best.tflite" in snippets[1]] == [True, True]
    (probabilities,) = found[PROBABILITIES]
    for lines in snippets:
        done = subprocess.run(
            [sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300
        )
        *told, answer = done.stdout.splitlines()
        assert told == ["none of these breeds"] * bool(found[FAMILIARITY][0] < FAMILIARITY_THRESHOLD)
        assert answer == f"{probabilities.max():.1%} {BREEDS[probabilities.argmax()]}"


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory, root):
    """What package-lock.json names, installed."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not here, which comes with Node")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(root / "tests/node" / name, folder / name)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=600)
    return folder / "node_modules"


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_the_lines_of_the_card_in_node_give_nearly_the_answer_of_keras(write_own_card, node_modules, tmp_path, resize):
    card, found = write_own_card(resize)
    (lines,) = re.findall(r"```js\n(.*?)```", card, re.DOTALL)
    (tmp_path / "ask.mjs").write_text(lines, encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(node_modules)
    done = subprocess.run(["node", "ask.mjs"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300)
    *told, answer = done.stdout.splitlines()
    share, breed = answer.split(" ", 1)
    (probabilities,) = found[PROBABILITIES]
    assert told == ["none of these breeds"] * bool(found[FAMILIARITY][0] < FAMILIARITY_THRESHOLD)
    assert breed == BREEDS[probabilities.argmax()]
    assert float(share.rstrip("%")) / 100 == pytest.approx(probabilities.max(), abs=0.01)


def test_onnxruntime_tells_nobody_that_it_was_imported(tmp_path, root):
    """It sends Microsoft a word unless told not to before; its mark is a file with the session's number."""
    code = "import stages, onnxruntime, os; assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run(
        [sys.executable, "-c", code], cwd=root, env={**environment, "TMPDIR": str(tmp_path)}, check=True, timeout=100
    )
    assert list(tmp_path.iterdir()) == []


# Damaged files


@pytest.fixture
def complaint():
    """Load a file as an exported model, and give the one line that tells why it is none."""

    def load(path):
        with pytest.raises(UserError) as raised:
            exported.load_exported(path)
        (line,) = str(raised.value).splitlines()
        assert line.startswith(f"{path} is no exported model of this version of the pipeline, or not whole: ")
        return line

    return load


@each_format
@pytest.mark.parametrize("kept", [0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_an_exported_model_that_is_cut_short_is_one_clear_line(made, tmp_path, complaint, name, kept):
    content = (made / "models/exported" / FILES[name]).read_bytes()
    (tmp_path / FILES[name]).write_bytes(content[: int(kept * len(content))])
    complaint(tmp_path / FILES[name])


@each_format
@pytest.mark.parametrize("place", np.linspace(0, 1, 25).tolist())
def test_an_exported_model_with_a_damaged_stretch_is_one_clear_line(made, tmp_path, complaint, name, place):
    content = bytearray((made / "models/exported" / FILES[name]).read_bytes())
    start = int(place * (len(content) - 64))
    content[start : start + 64] = bytes(byte ^ 0xFF for byte in content[start : start + 64])
    (tmp_path / FILES[name]).write_bytes(content)
    complaint(tmp_path / FILES[name])


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
@pytest.mark.parametrize("content", [b"", b"no model", b"\x1c\x00\x00\x00TFL3", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_exported_model_is_one_clear_line(tmp_path, complaint, content, suffix):
    (tmp_path / f"other{suffix}").write_bytes(content)
    complaint(tmp_path / f"other{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    complaint(tmp_path / f"folder{suffix}")


def test_models_of_others_are_told_what_they_lack(made, tmp_path, complaint):
    photo = onnx.helper.make_tensor_value_info("photo", onnx.TensorProto.FLOAT, [1])
    same = onnx.helper.make_node("Identity", ["photo"], ["probabilities"])
    out = onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, [1])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([same], "same", [photo], [out])), tmp_path / "it.onnx")
    assert "its metadata have no sha256" in complaint(tmp_path / "it.onnx")

    content = (made / "models/exported/best.tflite").read_bytes()
    bare = content[: content.index(b"PK\x03\x04")]
    (tmp_path / "bare.tflite").write_bytes(bare)
    assert "no zip archive with metadata.json is appended to it" in complaint(tmp_path / "bare.tflite")
    for name, member, told in (
        ("labels.tflite", ("labels.txt", "dog"), "has no metadata.json"),
        ("others.tflite", ("metadata.json", "{}"), "its metadata have no sha256"),
    ):
        (tmp_path / name).write_bytes(bare)
        with zipfile.ZipFile(tmp_path / name, "a") as archive:
            archive.writestr(*member)
        assert told in complaint(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"breeds": "Cairn"}, "breeds"),
        ({"resize": "stretch"}, "resize"),
        ({"prepared_size": None}, "prepared_size"),
        ({"prepared_size": 31}, "it takes 32 pixels a side, and photos have 31 before"),
        ({"threshold": "high"}, "threshold"),
        ({"familiarity_threshold": "high"}, "familiarity_threshold"),
        ({"known_familiarity": None}, "known_familiarity"),
        ({"known_familiarity": ["high"]}, "known_familiarity"),
    ],
)
@pytest.mark.parametrize("file", ["it.onnx", "it.tflite"])
def test_an_exported_model_whose_metadata_do_not_fit_is_one_clear_line(made, tmp_path, complaint, file, change, told):
    path = tmp_path / file
    write_exported((made / f"data/converted/best{path.suffix}").read_bytes(), path, **change)
    assert told in complaint(path)


def test_an_exported_model_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match=r"it\.onnx is not here: `dvc repro` makes it\.$"):
        exported.load_exported(tmp_path / "it.onnx")
