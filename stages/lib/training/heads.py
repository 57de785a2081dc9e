"""Heads on frozen features, one after the other in one process: each takes seconds, and nothing is kept of it."""

import keras
import numpy as np

from stages.lib.core.arrays import Rows
from stages.lib.core.params import Training
from stages.lib.datasets import batches as datasets
from stages.lib.networks import classifiers
from stages.lib.training import loop as training


def train_head(
    features: np.ndarray | Rows,
    labels: np.ndarray,
    val_features: np.ndarray,
    val_labels: np.ndarray,
    classes: int,
    settings: Training,
    seed: int,
    what: str,
) -> keras.Model:
    """Train a head as the stage `transfer` does, without its progress bar and checkpoint.

    Args:
        features: float32 (n, channels), to train on, in memory or on disk.
        labels: int (n,) in [0, classes).
        val_features: float32 (m, channels), which steer the training.
        val_labels: int (m,), likewise.
        classes: how many breeds there are.
        settings: of the head and its training.
        seed: of the weights it starts from, of dropout and of the order of the batches.
        what: named where it diverges.

    Raises `UserError` where the training diverges.
    """
    keras.backend.clear_session()  # or each training would add its graph to the memory in use
    training.set_seed(seed)
    head = classifiers.head_network(features.shape[1], classes, settings.dropout)
    batches = datasets.training_batches(features, labels, classes, settings, seed)
    steering = datasets.validation_batches(val_features, val_labels, classes, settings.batch_size)
    training.train(head, batches, steering, settings, what=what, quiet=True)
    return head


def predict(head: keras.Model, features: np.ndarray) -> np.ndarray:
    """The probabilities of features (n, channels): float64 (n, breeds), rows sum to 1."""
    # not `head.predict`, which TensorFlow warns of when many networks do it
    probabilities = keras.ops.convert_to_numpy(head(features, training=False)).astype(float)
    return probabilities / probabilities.sum(axis=1, keepdims=True)  # float32 rows sum to 1 only nearly
