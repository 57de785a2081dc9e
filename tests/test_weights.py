"""Pretrained weights: taken out of a package, or fetched by Keras, or told why not."""

import importlib.metadata
import sys
import urllib.error
from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import slow_but

from stages.lib.backbones.build import build_backbone
from stages.lib.core import paths
from stages.lib.core.errors import UserError
from stages.lib.core.registry import NETWORKS
from stages.sources import bundled_weights, efficientnet_lite_weights, imagenet_weights
from stages.sources.packages import read_packaged_file


class Bundle(NamedTuple):
    """A stage that takes weights out of a package, what it reads there and what it makes."""

    main: Callable
    arguments: list[str]
    file: str
    sha256: str
    made: str


BUNDLES = [Bundle(bundled_weights.main, [], bundled_weights.FILE, bundled_weights.SHA256, "VGG16-bundled.weights.h5")]
BUNDLES += [
    Bundle(efficientnet_lite_weights.main, [name], packaged.file, packaged.sha256, f"{name}-bundled.weights.h5")
    for name, packaged in efficientnet_lite_weights.PACKAGES.items()
]


IDS = [bundle.made for bundle in BUNDLES]


@pytest.fixture(params=BUNDLES, ids=IDS)
def bundle(request, monkeypatch) -> Bundle:
    """Each of `BUNDLES`, whose main may be called."""
    monkeypatch.setattr(sys, "argv", ["stage", *request.param.arguments])
    return request.param


def test_bundled_weights_give_the_activations_of_the_network_that_they_come_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundled_weights.main()
    network = build_backbone("VGG16", 240, paths.WEIGHTS / "VGG16-bundled.weights.h5")

    original = onnx.load_from_string(
        read_packaged_file(bundled_weights.PACKAGE, bundled_weights.FILE, bundled_weights.SHA256)
    )
    *_, last_pool = (node.output[0] for node in original.graph.node if node.op_type == "MaxPool")
    original.graph.output.append(onnx.helper.make_tensor_value_info(last_pool, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(original.SerializeToString())

    photo = np.random.default_rng(0).integers(0, 256, (1, 240, 240, 3)).astype(np.float32)
    preprocessed = keras.applications.vgg16.preprocess_input(photo.copy())
    (expected,) = session.run([last_pool], {session.get_inputs()[0].name: preprocessed})
    expected = expected.transpose(0, 2, 3, 1)  # ONNX has the channels first
    assert expected.max() > 10
    np.testing.assert_allclose(network.predict(photo, verbose=0), expected, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("bundle", slow_but(BUNDLES, *BUNDLES[:2]), ids=IDS, indirect=True)
def test_bundled_weights_are_the_same_bytes_each_time(tmp_path, monkeypatch, bundle):
    content = []
    for run in "ab":
        (tmp_path / run).mkdir()
        monkeypatch.chdir(tmp_path / run)
        keras.utils.clear_session()
        bundle.main()
        content.append((paths.WEIGHTS / bundle.made).read_bytes())
    assert content[0] == content[1]


def test_another_file_in_the_package_is_refused(tmp_path, monkeypatch, bundle):
    other = tmp_path / bundle.file
    other.parent.mkdir(parents=True)
    other.write_bytes(b"something else")
    monkeypatch.setattr(importlib.metadata.PathDistribution, "locate_file", lambda self, path: tmp_path / path)  # noqa: ARG005
    with pytest.raises(UserError, match=rf"must have the sha256 {bundle.sha256}.*pip install -r requirements.txt"):
        bundle.main()


def test_missing_package_is_told_with_the_remedy(monkeypatch, bundle):
    def none_there(name: str):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", none_there)
    with pytest.raises(
        UserError, match=r"with the package [\w-]+, which is not here: .*pip install -r requirements.txt"
    ):
        bundle.main()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder to run the stage for VGG16 in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["imagenet_weights", "VGG16"])
    return tmp_path


def test_imagenet_weights_are_written_as_keras_gives_them(project, monkeypatch):
    asked = []

    def build(include_top, weights):
        asked.append((include_top, weights))
        return keras.applications.VGG16(include_top=include_top, weights=None)

    monkeypatch.setitem(NETWORKS, "VGG16", SimpleNamespace(build=build))
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


@pytest.mark.usefixtures("project")
def test_imagenet_weights_of_a_network_that_keras_does_not_have_are_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["imagenet_weights", "EfficientNetLite0"])
    with pytest.raises(SystemExit) as ended:
        imagenet_weights.main()
    assert ended.value.code == 2
    assert "invalid choice: 'EfficientNetLite0'" in capsys.readouterr().err
