"""Grad-CAM on networks whose answer is known."""

import keras
import numpy as np
import pytest
from keras import layers
from small_classifiers import small_classifier

from stages.lib.core.classifier import PROBABILITIES
from stages.lib.inference.grad_cam import grad_cam
from stages.lib.networks.classifiers import scratch_network
from stages.lib.networks.graphs import only
from stages.lib.networks.model_files import load_classifier, save_classifier
from stages.lib.reporting.embedding import overlay


def red_or_green() -> keras.Model:
    """A network whose first class is how much red there is, and whose second is how much green."""
    photo = keras.Input((16, 16, 3))
    maps = layers.AveragePooling2D(4)(layers.Rescaling(1 / 255)(photo))
    pooled = layers.GlobalAveragePooling2D()(maps)
    network = keras.Model(photo, layers.Dense(2, activation="softmax", name="probabilities")(pooled))
    network.layers[-1].set_weights([np.array([[3.0, 0.0], [0.0, 3.0], [0.0, 0.0]]), np.zeros(2)])
    return network


@pytest.fixture
def picture() -> np.ndarray:
    """Red above on the left, green below on the right."""
    content = np.zeros((16, 16, 3), np.uint8)
    content[:4, :4, 0] = 255
    content[12:, 12:, 1] = 255
    return content


def test_heat_is_where_the_class_is(picture):
    red, green = grad_cam(red_or_green(), np.stack([picture, picture]), np.array([0, 1]))
    expected = np.zeros((4, 4))
    expected[0, 0] = 1
    np.testing.assert_allclose(red, expected)
    np.testing.assert_allclose(green, expected[::-1, ::-1])


def test_a_network_that_also_looks_at_earlier_maps_is_explained_by_its_last_ones(picture):
    plain = red_or_green()
    photo, maps = plain.input, plain.layers[-3].output
    earlier = layers.GlobalMaxPooling2D()(photo)
    seen = layers.Concatenate()([layers.GlobalAveragePooling2D()(maps), earlier])
    network = keras.Model(photo, layers.Dense(2, activation="softmax", name="probabilities")(seen))
    kernel = np.concatenate([plain.layers[-1].get_weights()[0], np.ones((3, 2))])
    network.layers[-1].set_weights([kernel, np.zeros(2)])
    pictures, classes = np.stack([picture, picture]), np.array([0, 1])
    np.testing.assert_allclose(grad_cam(network, pictures, classes), grad_cam(plain, pictures, classes))


def test_heat_is_the_formula_of_the_paper():
    network = scratch_network(32, 3, 0.1)
    pictures = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), np.uint8)
    classes = np.array([2, 0])
    # global average pooling after the maps: the gradient of a score is a constant a channel, its weight by the places
    maps = keras.Model(network.input, network.layers[-3].input).predict(pictures, verbose=0)
    weights = network.layers[-1].kernel.numpy()[:, classes].T / np.prod(maps.shape[1:3])
    heat = np.maximum((maps * weights[:, None, None]).sum(axis=-1), 0)
    peaks = heat.max(axis=(1, 2), keepdims=True)
    expected = heat / np.where(peaks > 0, peaks, 1)
    np.testing.assert_allclose(grad_cam(network, pictures, classes), expected, rtol=1e-4, atol=1e-6)


def test_nothing_is_hot_where_nothing_speaks_for_the_class():
    black = np.zeros((1, 16, 16, 3), np.uint8)
    assert grad_cam(red_or_green(), black, np.array([0])).tolist() == np.zeros((1, 4, 4)).tolist()


def test_it_works_on_a_model_as_it_is_saved(tmp_path):
    keras.utils.set_random_seed(1)
    network = scratch_network(64, 3, 0.1)
    save_classifier(small_classifier(network, ["a", "b", "c"]), tmp_path / "model.keras")
    saved = load_classifier(tmp_path / "model.keras").network
    pictures, classes = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), np.uint8), np.arange(3)
    heat = grad_cam(only(saved, PROBABILITIES), pictures, classes)
    assert 0 <= heat.min() < heat.max() <= 1
    np.testing.assert_array_equal(heat, grad_cam(network, pictures, classes))


def test_overlay_has_the_pictures_size_and_is_brightest_where_it_is_hot():
    heat = np.zeros((4, 4), np.float32)
    heat[0, 3] = 1
    laid = np.asarray(overlay(np.full((16, 16, 3), 100, np.uint8), heat)).sum(axis=2)
    assert laid.shape == (16, 16)
    assert laid[0, 15] == laid.max() > laid[0, 0] == laid.min()
