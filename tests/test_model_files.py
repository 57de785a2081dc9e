"""Files from others: models and weights that are cut short, changed, of another version or none at all."""

import json
import shutil
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from pipeline_fixtures import write_shown
from small_classifiers import KNOWN, small_classifier

from stages.lib.backbones.build import build_backbone, write_weights
from stages.lib.core.classifier import Classifier
from stages.lib.core.errors import UserError
from stages.lib.datasets.features import read_rows
from stages.lib.networks.classifiers import head_network, join, scratch_network
from stages.lib.networks.graphs import in_precision
from stages.lib.networks.model_files import load_classifier, load_network, save_classifier, save_network


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    save_classifier(small_classifier(scratch_network(32, 3, dropout=0.1), ["x", "y", "z"], size=48), path)
    return path


@pytest.fixture
def complaint():
    """Load a file as a model, and give the one line that tells why it is none."""

    def load(path):
        with pytest.raises(UserError) as raised:
            load_classifier(path)
        (line,) = str(raised.value).splitlines()
        begin = f"{path} is no model of this version of the pipeline, or not whole, or of another Keras than "
        assert line.startswith(begin)
        return line

    return load


def rewrite(source, target, **contents):
    """Copy a zip file with other contents for the members that are named, without their extensions."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            change = contents.get(name.split(".")[0])
            new.writestr(name, change(old.read(name)) if change else old.read(name))


def edit(change):
    """Make of ``change``, which edits a JSON object in place, a function of its bytes."""

    def edited(content):
        data = json.loads(content)
        change(data)
        return json.dumps(data)

    return edited


@pytest.mark.parametrize("kept", [0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_model_that_is_cut_short_is_one_clear_line(saved, tmp_path, complaint, kept):
    content = saved.read_bytes()
    (tmp_path / "cut.keras").write_bytes(content[: int(kept * len(content))])
    complaint(tmp_path / "cut.keras")


@pytest.mark.parametrize("place", np.linspace(0.001, 0.999, 25).tolist())
def test_a_model_with_a_damaged_stretch_is_one_clear_line(saved, tmp_path, complaint, place):
    content = bytearray(saved.read_bytes())
    start = int(place * (len(content) - 64))
    content[start : start + 64] = bytes(byte ^ 0xFF for byte in content[start : start + 64])
    (tmp_path / "damaged.keras").write_bytes(content)
    complaint(tmp_path / "damaged.keras")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x89HDF\r\n\x1a\n", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_model_is_one_clear_line(tmp_path, complaint, content):
    (tmp_path / "other.keras").write_bytes(content)
    complaint(tmp_path / "other.keras")


def test_a_folder_and_other_files_of_numbers_are_no_model(tmp_path, complaint):
    (tmp_path / "folder.keras").mkdir()
    complaint(tmp_path / "folder.keras")
    np.savez(tmp_path / "numbers.npz", numbers=np.arange(3))
    complaint(tmp_path / "numbers.npz")


def test_a_model_of_keras_that_is_not_of_this_pipeline_is_one_clear_line(tmp_path, complaint):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "foreign.keras")
    assert "'breeds'" in complaint(tmp_path / "foreign.keras")


def other_layer(config):
    config["config"]["layers"][1]["class_name"] = "RescalingOfKeras9"


def other_module(config):
    config["config"]["layers"][1] |= {"module": "keras9.layers", "registered_name": "Nine"}


def other_argument(config):
    config["config"]["layers"][1]["config"]["of_keras_9"] = True


def no_layers(config):
    del config["config"]["layers"]


@pytest.mark.parametrize("change", [other_layer, other_module, other_argument, no_layers])
def test_a_model_of_another_version_is_one_clear_line(saved, tmp_path, complaint, change):
    rewrite(saved, tmp_path / "newer.keras", config=edit(change))
    complaint(tmp_path / "newer.keras")


def metadata_with(**changes):
    """The metadata of the model that `saved` gives, in which some are others, or None for being left out."""
    known = {"breeds": ["x", "y", "z"], "resize": "crop", "prepared_size": 48, "known_familiarity": KNOWN} | changes
    return json.dumps({name: value for name, value in known.items() if value is not None})


@pytest.mark.parametrize("metadata", ["[]", "1", "{}", metadata_with(breeds=["x"]), "{", "\udcff"])
def test_a_model_whose_metadata_are_others_is_one_clear_line(saved, tmp_path, complaint, metadata):
    content = metadata.encode(errors="surrogateescape")
    rewrite(saved, tmp_path / "other.keras", metadata=lambda _: content)
    complaint(tmp_path / "other.keras")


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (None, "KeyError: 'prepared_size'"),
        (31, "ValueError: it takes 32 pixels a side, and photos have 31 before"),
        ("64", "TypeError: "),
    ],
)
def test_a_model_that_does_not_say_from_which_size_pictures_are_shrunk_is_one_clear_line(
    saved, tmp_path, complaint, size, told
):
    """As an earlier version wrote it."""
    rewrite(saved, tmp_path / "earlier.keras", metadata=lambda _: metadata_with(prepared_size=size))
    assert told in complaint(tmp_path / "earlier.keras")


def test_a_model_is_read_as_it_was_saved(saved):
    found = load_classifier(saved)
    assert (found.breeds, found.resize, found.prepared_size, found.image_size) == (["x", "y", "z"], "crop", 48, 32)
    assert found.known_familiarity == KNOWN


def test_a_model_of_an_earlier_version_which_tells_no_familiarity_is_one_clear_line(saved, tmp_path, complaint):
    rewrite(saved, tmp_path / "earlier.keras", metadata=lambda _: metadata_with(known_familiarity=None).encode())
    assert "KeyError: 'known_familiarity'" in complaint(tmp_path / "earlier.keras")
    plain = Classifier(scratch_network(32, 3, dropout=0.1), ["x", "y", "z"], "crop", 48, KNOWN)
    save_classifier(plain, tmp_path / "plain.keras")
    assert "ValueError: it gives (None, 3) for 3 breeds" in complaint(tmp_path / "plain.keras")


def test_a_network_without_breeds_is_saved_in_float32_with_the_same_bytes_each_time(tmp_path):
    """As features leaves the frozen backbone for transfer, which puts heads on it."""
    network = in_precision(build_backbone("VGG16", 32), "mixed_bfloat16")
    again = network
    files = [tmp_path / "one.keras", tmp_path / "two.keras"]
    for file in files:
        keras.utils.clear_session()  # which counts networks, as a new process would begin to
        save_network(again, file)
        again = load_network(file)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert {layer.compute_dtype for layer in again.layers} == {"float32"}
    for weight, expected in zip(again.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)
    joined = join(again, head_network(again.output_shape[-1], 3, dropout=0.1))
    assert (joined.input_shape, joined.output_shape) == ((None, 32, 32, 3), (None, 3))


def test_a_network_that_is_none_or_not_there_is_one_clear_line(tmp_path):
    with pytest.raises(UserError, match=r"backbone\.keras is not here: `dvc repro` makes it\.$"):
        load_network(tmp_path / "backbone.keras")
    (tmp_path / "backbone.keras").write_bytes(b"no network")
    with pytest.raises(UserError, match=r"backbone\.keras is no model of this version of the pipeline, or not whole"):
        load_network(tmp_path / "backbone.keras")


def test_code_in_a_model_is_not_run(tmp_path, complaint):
    trap = str(tmp_path / "sprung")
    photo = keras.Input((32, 32, 3))
    layer = keras.layers.Lambda(lambda x: (open(trap, "w"), x)[1], output_shape=(32, 32, 3))  # noqa: PTH123, SIM115
    keras.Model(photo, layer(photo)).save(tmp_path / "lambda.keras")
    Path(trap).unlink(missing_ok=True)
    with zipfile.ZipFile(tmp_path / "lambda.keras", "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("metadata.json", metadata_with(breeds=["x"]))
    assert "ambda" in complaint(tmp_path / "lambda.keras")
    assert not Path(trap).exists()


def test_features_with_pickled_objects_in_them_are_not_opened(tmp_path):
    np.save(tmp_path / "train.npy", np.array([{"an": "object"}]), allow_pickle=True)
    write_shown(tmp_path, "train", ["Cairn/1.jpg"])
    with pytest.raises(ValueError, match="Array can't be memory-mapped: Python objects in dtype"):
        read_rows("train", tmp_path)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "VGG16.weights.h5"
    write_weights(build_backbone("VGG16", 32), path)
    return path


def cut_in_half(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def cut_to_nothing(path):
    path.write_bytes(b"")


def replace_by_text(path):
    path.write_text("no weights")


def damage_the_header(path):
    with path.open("r+b") as file:
        file.seek(48)
        file.write(b"\xff" * 64)


def empty_it(path):
    with h5py.File(path, "w"):
        pass


def take_a_layer_away(path):
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d_5"]


@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize(
    "damage", [cut_in_half, cut_to_nothing, replace_by_text, damage_the_header, empty_it, take_a_layer_away]
)
def test_damaged_weights_are_one_clear_line(weights, tmp_path, damage):
    path = tmp_path / "own.weights.h5"
    shutil.copyfile(weights, path)
    damage(path)
    with pytest.raises(UserError, match=r"weights must be .* of VGG16 .* Received: .*, which does not fit\."):
        build_backbone("VGG16", 32, path)


@pytest.mark.filterwarnings("ignore:Skipping nested container")
def test_weights_of_another_network_are_one_clear_line(tmp_path):
    write_weights(head_network(3, 3, 0.0), tmp_path / "head.weights.h5")
    with pytest.raises(UserError, match="which does not fit"):
        build_backbone("VGG16", 32, tmp_path / "head.weights.h5")
