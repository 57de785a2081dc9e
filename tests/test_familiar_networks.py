"""Networks that tell how familiar a photo is: the numbers of the formula, in any runtime, whatever the head."""

import keras
import numpy as np
import pytest
from keras import layers
from small_classifiers import KNOWN, assert_close, familiar, seeded_means, small_classifier

from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.exporting.conversion import to_onnx, to_tflite
from stages.lib.exporting.onnx_files import OnnxNetwork
from stages.lib.exporting.tflite_files import TfliteNetwork
from stages.lib.familiarity.scores import familiarity, normalise
from stages.lib.inference.predictions import predict_pictures
from stages.lib.networks.classifiers import (
    familiar_features,
    head_network,
    join,
    pooled_features,
    scratch_network,
    with_familiarity,
)
from stages.lib.networks.graphs import average_views, join_networks, only, replace_probabilities
from stages.lib.networks.model_files import load_classifier, save_classifier

SIDE, BREEDS = 32, 3
RUNTIMES = {
    "keras": lambda network: network,
    "onnx": lambda network: OnnxNetwork(to_onnx(network)),
    "tflite": lambda network: TfliteNetwork(to_tflite(network)[0]),
}


def backbone() -> keras.Model:
    """Two convolutions, without a bias, so that a black photo has no features at all."""
    photo = keras.Input((SIDE, SIDE, 3), name="photo")
    x = layers.Conv2D(8, 3, strides=2, activation="relu", use_bias=False)(layers.Rescaling(1 / 255)(photo))
    return keras.Model(photo, layers.Conv2D(16, 3, strides=2, use_bias=False, name="last")(x))


def with_head(frozen: keras.Model, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return join(frozen, head_network(16, BREEDS, 0.5))


@pytest.fixture
def plain() -> keras.Model:
    """Photos to probabilities; a new one for each test, as joined networks have other names for their layers."""
    keras.utils.set_random_seed(1)
    return with_head(backbone(), seed=2)


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """Noise of different colours."""
    generator = np.random.default_rng(0)
    return (255 * generator.random((9, 1, 1, 3)) * generator.random((9, SIDE, SIDE, 1))).astype(np.uint8)


# The formula


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_familiarity_is_the_cosine_to_the_nearest_breed_and_probabilities_are_as_they_were(plain, photos, runtime):
    means = seeded_means(plain)
    asked = RUNTIMES[runtime](with_familiarity(plain, means))
    found = asked.predict_on_batch(photos)
    expected = familiarity(means, pooled_features(plain).predict_on_batch(photos))
    assert np.ptp(expected) > 0.1
    assert_close(found, {FAMILIARITY: expected, PROBABILITIES: plain.predict_on_batch(photos)}, 1e-5)
    assert asked.output_shape == [(None,), (None, BREEDS)]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_photo_without_any_features_is_as_far_from_one_breed_as_from_another(plain, runtime):
    black = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    assert not pooled_features(plain).predict_on_batch(black).any()
    found = RUNTIMES[runtime](familiar(plain)).predict_on_batch(black)
    assert found[FAMILIARITY].tolist() == familiarity(seeded_means(plain), np.zeros((2, 16))).tolist() == [0, 0]


def test_means_are_no_weights_that_a_training_changes(plain):
    network = familiar(plain)
    (cosines,) = (layer for layer in network.layers if layer.name == "familiarity_cosines")
    assert cosines.trainable_weights == []
    np.testing.assert_array_equal(cosines.get_weights()[0], seeded_means(plain).T)


def test_the_features_by_which_photos_are_compared_have_the_length_one(plain, photos):
    found = familiar_features(familiar(plain)).predict_on_batch(photos)
    np.testing.assert_allclose(found, normalise(pooled_features(plain).predict_on_batch(photos)), atol=1e-6)


def test_one_output_can_be_had_alone(plain, photos):
    network = familiar(plain)
    both = network.predict_on_batch(photos)
    for output, values in both.items():
        assert only(network, output).predict_on_batch(photos).tobytes() == values.tobytes()


def test_a_network_that_was_saved_gives_both_to_the_bit_and_has_its_known_photos(plain, photos, tmp_path):
    kept = small_classifier(plain, list("ABC"))
    save_classifier(kept, tmp_path / "it.keras")
    found = load_classifier(tmp_path / "it.keras")
    assert_close(found.network.predict_on_batch(photos), kept.network.predict_on_batch(photos), 0)
    assert found.known_familiarity == KNOWN
    save_classifier(found, tmp_path / "again.keras")
    assert (tmp_path / "it.keras").stat().st_size == (tmp_path / "again.keras").stat().st_size
    keras.backend.clear_session()
    again = load_classifier(tmp_path / "again.keras")
    assert_close(again.network.predict_on_batch(photos), kept.network.predict_on_batch(photos), 0)


# Other probabilities


@pytest.fixture
def tuned(plain) -> keras.Model:
    """A copy of the network whose last convolution and head were trained on, as fine-tuning leaves it."""
    copied = keras.models.clone_model(plain)
    copied.set_weights(plain.get_weights())
    for name in ("last", PROBABILITIES):
        kernel = copied.get_layer(name).kernel
        kernel.assign_add(0.3 * np.random.default_rng(5).normal(size=kernel.shape))
    return copied


def test_replaced_probabilities_are_the_others_and_familiarity_stays_that_of_the_start_both_to_the_bit(
    plain, tuned, photos
):
    start, of_tuned = familiar(plain), familiar(tuned).predict_on_batch(photos)
    expected = {
        FAMILIARITY: start.predict_on_batch(photos)[FAMILIARITY],
        PROBABILITIES: tuned.predict_on_batch(photos),
    }
    assert np.abs(expected[PROBABILITIES] - plain.predict_on_batch(photos)).max() > 0.01
    assert np.abs(expected[FAMILIARITY] - of_tuned[FAMILIARITY]).max() > 0.01
    found = replace_probabilities(start, tuned)
    assert found.output_shape == [(None,), (None, BREEDS)]
    assert_close(found.predict_on_batch(photos), expected, 0)


def test_layers_that_are_equal_in_start_and_other_run_once(plain, tuned):
    found = replace_probabilities(familiar(plain), tuned)
    convolutions = [layer for layer in found.layers if isinstance(layer, layers.Conv2D)]
    assert len(convolutions) == 2 + 1, "the first is the same in both"
    assert len([layer for layer in found.layers if isinstance(layer, layers.Rescaling)]) == 1
    assert len([layer for layer in found.layers if layer.name.startswith(PROBABILITIES)]) == 1, "the start's is gone"


def test_a_network_with_replaced_probabilities_is_saved_joined_averaged_and_exported_as_any_other(
    plain, tuned, photos, tmp_path
):
    start = small_classifier(plain, list("ABC"))
    save_classifier(start, tmp_path / "start.keras")
    found = replace_probabilities(start.network, tuned)
    expected = found.predict_on_batch(photos)
    save_classifier(start._replace(network=found), tmp_path / "it.keras")
    read = load_classifier(tmp_path / "it.keras").network
    assert_close(read.predict_on_batch(photos), expected, 0)
    again, other = (load_classifier(tmp_path / name).network for name in ("start.keras", "it.keras"))
    of_start, of_found = join_networks([again, other]).predict_on_batch(photos)
    assert_close(of_found, expected, 0)
    assert of_start[FAMILIARITY].tobytes() == of_found[FAMILIARITY].tobytes()
    averaged = average_views(read, 2).predict_on_batch(photos)
    np.testing.assert_allclose(averaged[FAMILIARITY], expected[FAMILIARITY], atol=1e-6)
    for runtime in ("onnx", "tflite"):
        assert_close(RUNTIMES[runtime](read).predict_on_batch(photos), expected, 1e-5)


# Any number of photos


@pytest.mark.parametrize("views", [1, 2])
def test_where_there_are_no_photos_there_are_empty_arrays_of_the_same_structure(views):
    networks = [familiar(scratch_network(SIDE, breeds, 0.1)) for breeds in (2, 4)]
    found = predict_pictures(average_views(join_networks(networks), views), [], "none")
    shapes = [{name: (values.shape, values.dtype) for name, values in of_one.items()} for of_one in found]
    assert shapes == [{FAMILIARITY: ((0,), np.float32), PROBABILITIES: ((0, breeds), np.float32)} for breeds in (2, 4)]
