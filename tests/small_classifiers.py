"""Small networks as the pipeline keeps them, with means of breeds that nobody took of photos."""

from collections.abc import Mapping

import keras
import numpy as np

from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES, Classifier
from stages.lib.networks.classifiers import POOL, head_network, with_familiarity

KNOWN = np.linspace(-0.5, 0.45, 39).round(6).tolist()  # of 39 known photos; 1 in 20 may be turned away: 2 of 39 + 1


def seeded_head(features: int, breeds: int, dropout: float = 0.5, seed: int = 1) -> keras.Model:
    """A head that says something: from zeros, as `head_network` starts, all breeds are alike."""
    head = head_network(features, breeds, dropout)
    kernel = np.random.default_rng(seed).normal(size=(features, breeds)) * (2 / (features + breeds)) ** 0.5
    head.layers[-1].set_weights([kernel, np.zeros(breeds)])
    return head


def seeded_means(network: keras.Model, seed: int = 1) -> np.ndarray:
    """A direction for each breed of ``network``, which has a layer `POOL`: float32 (breeds, channels)."""
    shape = network.output_shape[-1], network.get_layer(POOL).output.shape[-1]
    means = np.random.default_rng(seed).normal(size=shape)
    return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


def familiar(network: keras.Model, seed: int = 1) -> keras.Model:
    """``network``, which gives probabilities, with familiarity beside them."""
    return with_familiarity(network, seeded_means(network, seed))


def small_classifier(
    network: keras.Model, breeds: list[str], resize: str = "crop", size: int | None = None, seed: int = 1
) -> Classifier:
    """A classifier of ``network``, which gives probabilities; photos are prepared as large as it takes them, or so."""
    return Classifier(familiar(network, seed), breeds, resize, size or network.input_shape[1], KNOWN)


def largest_differences(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> dict[str, float]:
    """How far apart the numbers of two networks are, by output."""
    assert set(found) == set(expected) == {FAMILIARITY, PROBABILITIES}
    for name, values in expected.items():
        assert (found[name].dtype, found[name].shape) == (values.dtype, values.shape)
    return {name: float(np.abs(found[name] - values).max()) for name, values in expected.items()}


def assert_close(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], tolerance: float) -> None:
    """Fail where familiarity or a probability of one network is further from the other's; 0: they are the same."""
    differences = largest_differences(found, expected)
    assert max(differences.values()) <= tolerance, differences
