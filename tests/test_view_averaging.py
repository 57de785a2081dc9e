"""A photo and its mirror image get one answer."""

import pickle

import keras
import numpy as np
import pytest
from small_classifiers import assert_close, familiar

from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.networks.classifiers import scratch_network
from stages.lib.networks.graphs import average_views, join_networks


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(1)
    return familiar(scratch_network(32, 3, 0.1))


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)


def test_two_views_are_the_mean_of_a_photo_and_its_mirror_image(network, photos):
    mirrored = photos[:, :, ::-1]
    alone = network.predict_on_batch(photos)[PROBABILITIES]
    expected = (alone + network.predict_on_batch(mirrored)[PROBABILITIES]) / 2
    averaged = average_views(network, 2)
    assert averaged.predict_on_batch(photos)[PROBABILITIES] == pytest.approx(expected, abs=1e-6)
    assert averaged.predict_on_batch(mirrored)[PROBABILITIES] == pytest.approx(expected, abs=1e-6)
    assert np.abs(alone - expected).max() > 1e-4


def test_familiarity_stays_that_of_the_photo_itself(network, photos):
    """As known photos', by which it is told from where on a photo is known, is of one view."""
    alone, mirrored = (network.predict_on_batch(each)[FAMILIARITY] for each in (photos, photos[:, :, ::-1]))
    found = average_views(network, 2).predict_on_batch(photos)[FAMILIARITY]
    assert found == pytest.approx(alone, abs=1e-6)
    assert np.abs(found - mirrored).max() > 1e-5


def test_each_of_several_networks_is_averaged_for_itself(network, photos):
    keras.utils.set_random_seed(2)
    networks = [network, familiar(scratch_network(32, 4, 0.1), seed=2)]
    together = average_views(join_networks(networks), 2).predict_on_batch(photos)
    for one, found in zip(networks, together, strict=True):
        assert_close(found, average_views(one, 2).predict_on_batch(photos), 1e-6)


def test_a_network_may_have_operations_of_the_names_that_keras_gives_to_ours(photos):
    """As VGG16 may have in its preprocessing, which flips the colours."""
    keras.backend.clear_session()  # which counts names anew
    photo = keras.Input((32, 32, 3))
    twice = keras.ops.concatenate([photo, keras.ops.flip(photo, axis=-1)], axis=-1)
    means = keras.ops.mean(keras.ops.reshape(twice, (-1, 1024, 6)) / 255, axis=1)
    network = keras.Model(photo, keras.layers.Dense(3, activation="softmax")(means))
    keras.backend.clear_session()  # as in another process that reads it
    assert {"flip", "concatenate", "reshape", "mean"} <= {operation.name for operation in network.operations}
    assert average_views(network, 2).predict_on_batch(photos).shape == (5, 3)


def test_an_averaged_network_can_be_sent_to_another_process(network, photos):
    averaged = average_views(network, 2)
    sent = pickle.loads(pickle.dumps(averaged))
    assert_close(sent.predict_on_batch(photos), averaged.predict_on_batch(photos), 0)


def test_one_view_leaves_the_network_as_it_is(network):
    assert average_views(network, 1) is network


def test_an_averaged_network_takes_what_the_network_took(network):
    assert average_views(network, 2).input_shape == network.input_shape
    assert average_views(network, 2).output_shape == network.output_shape
