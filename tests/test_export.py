"""The best model in other formats: it answers as Keras' does, says what it is, and a damaged file is found out."""

import json
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from PIL import Image
from pipeline_fixtures import Repository

from stages import export, predict
from stages.lib import exported
from stages.lib.backbones import build_backbone
from stages.lib.classifiers import head_network, join, scratch_network
from stages.lib.errors import UserError
from stages.lib.model_files import Classifier, load_classifier, save_classifier

BREEDS = ["Cairn", "Grand Bleu de Gascogne", "Löwchen"]
SIDE = 32
THRESHOLD = 0.4
FILES = {name: each.file for name, each in export.FORMATS.items()}
CLOSE = {"onnx": 1e-5, "tflite": 1e-5, "tflite_float16": 2e-3}  # probabilities of an untrained network
each_format = pytest.mark.parametrize("name", FILES)


def untrained() -> keras.Model:
    """A network whose answers differ from photo to photo, for which Keras' first weights are too small."""
    keras.utils.set_random_seed(1)
    network = scratch_network(SIDE, len(BREEDS), dropout=0.1)
    kernel, _ = network.layers[-1].get_weights()
    network.layers[-1].set_weights([40 * kernel, np.array([1.8, 4.8, -3.6])])
    return network


def make_folder(folder: Path, draw_photo, threshold: float | None = THRESHOLD) -> Path:
    """What the stage reads: a model, what evaluate said of it, and four test photos of each breed."""
    save_classifier(Classifier(untrained(), BREEDS, "pad"), folder / "models/scratch_plain.keras")
    (folder / "metrics").mkdir()
    said = {"scratch_plain": {"threshold": threshold}, "best": "scratch_plain"}
    (folder / "metrics/evaluate.json").write_text(json.dumps(said))
    for place, breed in enumerate(BREEDS):
        (folder / "data/prepared/test" / breed).mkdir(parents=True)
        for number in range(4):
            photo = draw_photo(10 * place + number, (SIDE, SIDE))
            photo.save(folder / "data/prepared/test" / breed / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory, draw_photo, run_stage):
    """A folder in which the stage ran."""
    folder = make_folder(tmp_path_factory.mktemp("export"), draw_photo)
    assert run_stage(export.main, folder) == 0
    return folder


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)


@each_format
@pytest.mark.parametrize("count", [1, 5])
def test_an_exported_model_gives_the_probabilities_of_keras_for_any_number_of_photos(made, photos, name, count):
    found = exported.load_exported(made / "models/exported" / FILES[name])
    expected = untrained().predict_on_batch(photos[:count])
    assert found.classifier.network.input_shape == (None, SIDE, SIDE, 3)
    assert np.abs(found.classifier.network.predict_on_batch(photos[:count]) - expected).max() < CLOSE[name]
    assert found.classifier.breeds == BREEDS
    assert found.classifier.resize == "pad"
    assert found.about.threshold == THRESHOLD


@pytest.mark.parametrize("backbone", ["VGG16", "SqueezeNet", "EfficientNetV2B0"])
def test_a_backbone_takes_its_preprocessing_along(tmp_path, photos, backbone):
    """The means that VGG16 and EfficientNet take off once became further inputs of the ONNX network."""
    keras.utils.set_random_seed(1)
    frozen = build_backbone(backbone, SIDE)
    network = join(frozen, head_network(frozen.output.shape[-1], len(BREEDS), dense_units=8, dropout=0.5))
    save_classifier(Classifier(network, BREEDS, "crop"), tmp_path / "it.keras")
    classifier = load_classifier(tmp_path / "it.keras")
    about = exported.describe(classifier, "transfer_plain", THRESHOLD)
    exported.save_onnx(classifier, about, tmp_path / "it.onnx")
    exported.save_tflite(classifier, about, tmp_path / "it.tflite")
    expected = classifier.network.predict_on_batch(photos)
    for file in ("it.onnx", "it.tflite"):
        found = exported.load_exported(tmp_path / file).classifier.network.predict_on_batch(photos)
        assert np.abs(found - expected).max() < 1e-5


def test_the_stage_measures_parity_size_and_time_of_each_format(made):
    found = json.loads((made / "metrics/export.json").read_text())
    assert list(found) == ["model", "test_photos", *FILES]
    assert (found["model"], found["test_photos"]) == ("scratch_plain", 12)
    assert [list(found[name]) for name in FILES] == [["largest_difference", "equal_answers"]] * 3
    assert [found[name]["equal_answers"] for name in FILES] == [1, 1, 1]
    assert 0 < found["tflite_float16"]["largest_difference"] < CLOSE["tflite_float16"]
    costs = json.loads((made / "metrics/costs/export.json").read_text())
    assert list(costs) == ["keras", *FILES]
    assert all(list(row) == ["megabytes", "milliseconds_batch_1", "milliseconds_batch_32"] for row in costs.values())
    sizes = {name: (made / "models/exported" / file).stat().st_size for name, file in FILES.items()}
    assert sizes["tflite_float16"] < 0.55 * sizes["tflite"]
    assert list(made.rglob("*.partial*")) == []


def test_exporting_again_in_another_process_makes_the_same_bytes(tmp_path, draw_photo, contents):
    folder = make_folder(tmp_path, draw_photo)
    repository = Repository(folder)
    found = []
    for seed in ("1", "2"):
        repository.python("-m", "stages.export", PYTHONHASHSEED=seed)
        found.append({**contents(folder / "models/exported"), "metrics": (folder / "metrics/export.json").read_bytes()})
    assert [name for name in found[0] if found[0][name] != found[1][name]] == []


def test_onnx_tells_what_it_is_to_any_reader(made):
    proto = onnx.load(made / "models/exported/best.onnx")
    onnx.checker.check_model(proto, full_check=True)
    (photo,), (probabilities,) = proto.graph.input, proto.graph.output
    assert (photo.name, probabilities.name) == ("photo", "probabilities")
    assert [size.dim_param or size.dim_value for size in photo.type.tensor_type.shape.dim] == ["batch", SIDE, SIDE, 3]
    assert [size.dim_param or size.dim_value for size in probabilities.type.tensor_type.shape.dim] == ["batch", 3]
    told = {entry.key: json.loads(entry.value) for entry in proto.metadata_props if entry.key != "sha256"}
    assert (told.pop("breeds"), told.pop("threshold"), told.pop("resize")) == (BREEDS, THRESHOLD, "pad")
    assert told.pop("description") == proto.doc_string
    assert told == {"model": "scratch_plain"}
    assert {each.domain: each.version for each in proto.opset_import}[""] == exported.OPSET


@pytest.mark.parametrize("file", ["best.tflite", "best-float16.tflite"])
def test_tensorflow_lite_tells_what_it_is_to_any_unzip(made, file):
    with zipfile.ZipFile(made / "models/exported" / file) as archive:
        assert archive.read("labels.txt").decode() == "".join(f"{breed}\n" for breed in BREEDS)
        told = json.loads(archive.read("metadata.json"))
    assert (told["breeds"], told["threshold"], told["resize"]) == (BREEDS, THRESHOLD, "pad")


# Answers that differ


def test_an_answer_differs_by_breed_or_by_sureness_unless_it_was_a_tie():
    expected = np.array([[0.6, 0.4], [0.6, 0.4], [0.5001, 0.4999], [0.61, 0.39], [0.58, 0.42], [0.5801, 0.4199]])
    found = np.array([[0.59, 0.41], [0.4, 0.6], [0.4999, 0.5001], [0.57, 0.43], [0.58, 0.42], [0.5799, 0.4201]])
    parity = export.compare(expected, found, threshold=0.58, tie=1e-3)
    assert parity.differing.tolist() == [1, 3]
    assert parity.equal_answers == pytest.approx(2 / 6)
    assert parity.largest_difference == pytest.approx(0.2)
    assert export.compare(expected, found, threshold=None, tie=1e-3).differing.tolist() == [1]
    assert export.compare(expected, found, threshold=None, tie=0.25).differing.tolist() == []


def test_the_stage_fails_where_an_answer_differs_and_keeps_what_was_there(
    tmp_path, draw_photo, run_stage, monkeypatch, capsys, contents
):
    folder = make_folder(tmp_path, draw_photo)
    assert run_stage(export.main, folder) == 0
    before = contents(folder)
    save = exported.save_onnx

    def save_another(classifier, about, path):
        another = keras.models.clone_model(classifier.network)
        another.set_weights([*classifier.network.get_weights()[:-1], np.array([0, 0, 1e3], np.float32)])
        save(classifier._replace(network=another), about, path)

    monkeypatch.setattr(exported, "save_onnx", save_another)
    capsys.readouterr()
    assert run_stage(export.main, folder) == 1
    first, *others = [line for line in capsys.readouterr().err.splitlines() if "answer" in line]
    assert first == "error: an exported model must answer as Keras' does:"
    assert others
    assert all(line.startswith("best.onnx answers Löwchen (1.0000) for ") for line in others)
    assert contents(folder) == before


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
    assert {True, False} == {answer["sure"] for answer in answers}
    for answer, other in zip(answers, expected, strict=True):
        one, two = ({row["breed"]: row["probability"] for row in each["breeds"]} for each in (answer, other))
        assert one == pytest.approx(two, abs=CLOSE[name])


def test_predict_says_of_an_exported_model_without_a_threshold_that_it_is_never_sure(
    tmp_path, root, draw_photo, monkeypatch, capsys
):
    classifier = Classifier(untrained(), BREEDS, "crop")
    exported.save_onnx(classifier, exported.describe(classifier, "scratch_plain", None), tmp_path / "it.onnx")
    (tmp_path / "params.yaml").symlink_to(root / "params.yaml")
    draw_photo(1).save(tmp_path / "dog.png")
    monkeypatch.chdir(tmp_path)
    code, printed, _ = call_predict(monkeypatch, capsys, "dog.png", "--model", "it.onnx")
    assert code == 0
    assert "  not sure: this model never is, " in printed


# Damaged files


@pytest.fixture
def complaint():
    """Load a file as an exported model, and give the one line that tells why it is none."""

    def load(path):
        with pytest.raises(UserError) as raised:
            exported.load_exported(path)
        (line,) = str(raised.value).splitlines()
        assert line.startswith(f"{path} is no exported model of this pipeline, or not whole: ")
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


def test_models_of_others_are_one_clear_line(tmp_path, complaint):
    photo = onnx.helper.make_tensor_value_info("photo", onnx.TensorProto.FLOAT, [1])
    same = onnx.helper.make_node("Identity", ["photo"], ["probabilities"])
    out = onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, [1])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([same], "same", [photo], [out])), tmp_path / "it.onnx")
    assert "'sha256'" in complaint(tmp_path / "it.onnx")
    Image.new("RGB", (8, 8)).save(tmp_path / "it.tflite", "PNG")
    assert "zip" in complaint(tmp_path / "it.tflite")


@pytest.mark.parametrize(
    ("change", "told"),
    [({"breeds": "Cairn"}, "breeds"), ({"resize": "stretch"}, "resize"), ({"threshold": "high"}, "threshold")],
)
@pytest.mark.parametrize("save", [exported.save_onnx, exported.save_tflite])
def test_an_exported_model_whose_metadata_do_not_fit_is_one_clear_line(tmp_path, complaint, save, change, told):
    classifier = Classifier(untrained(), BREEDS, "crop")
    about = exported.describe(classifier, "scratch_plain", 0.5).model_copy(update=change)
    path = tmp_path / ("it.onnx" if save is exported.save_onnx else "it.tflite")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pydantic of what it did not check
        save(classifier, about, path)
    assert told in complaint(path)


def test_an_exported_model_that_is_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match=r"it\.onnx is not here: `dvc repro` makes it\.$"):
        exported.load_exported(tmp_path / "it.onnx")
