"""Arrays as batches for Keras, in an order that the seed alone decides."""

import math
import warnings

import numpy as np
import tensorflow as tf

from stages.lib.core.arrays import Rows
from stages.lib.core.params import Training

PREFETCHED = 2  # batches, gathered while one is trained on


def _batches(
    inputs: np.ndarray | Rows,
    labels: np.ndarray,
    targets: np.ndarray,
    orders: tf.data.Dataset,
    weights: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Gather batch after batch of ``orders`` while the one before is trained on.

    ``targets`` has a row a label; ``weights``, of the losses, a value a picture, and comes third in a batch.
    """
    parts = [inputs, targets] if weights is None else [inputs, targets, weights]

    def gather(indices: np.ndarray) -> tuple[np.ndarray, ...]:
        batch = (inputs[indices], targets[labels[indices]])
        return batch if weights is None else (*batch, weights[indices])

    def load(indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
        batch = tf.numpy_function(gather, [indices], [part.dtype for part in parts])
        for tensor, part in zip(batch, parts, strict=True):
            tensor.set_shape((None, *part.shape[1:]))
        return tuple(batch)

    # TensorFlow's autotuner has nothing to tune here; and freeing an iterator waits for its thread, which sleeps for
    # twice as long each time: up to as long again as was trained
    untuned = tf.data.Options()
    untuned.autotune.enabled = False
    return orders.map(load).prefetch(PREFETCHED).with_options(untuned)


def _in_rounds(members: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """The first ``count`` of shuffled ``members``, and of them shuffled again, as often as it takes."""
    rounds = math.ceil(count / len(members))
    return np.concatenate([generator.permutation(members) for _ in range(rounds)])[:count]


def _sampled_order(labels: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Rounds in which each breed comes once, shuffled; in each breed, all its pictures before any comes again."""
    classes = np.unique(labels)
    rounds = math.ceil(count / len(classes))
    columns = [_in_rounds(np.flatnonzero(labels == label), rounds, generator) for label in classes]
    return generator.permuted(np.stack(columns, axis=1), axis=1).ravel()[:count]


def training_batches(
    inputs: np.ndarray | Rows, labels: np.ndarray, classes: int, settings: Training, seed: int
) -> tf.data.Dataset:
    """Batches for ``settings.steps`` steps, rounded up to whole looks at val; all pictures come before any comes again.

    Args:
        inputs: (n, ...), whatever the network takes, in memory or on disk.
        labels: int (n,) in [0, classes).
        classes: how many breeds there are.
        settings: ``steps``, ``batch_size``; ``label_smoothing``, the share of each label that is spread over all breeds
            (Szegedy et al., Rethinking the Inception architecture, CVPR 2016, section 7); ``class_balance``: with
            "weights", float32 (batch,) comes third, 1 on average, the inverse of how many pictures a breed has (King
            and Zeng, Logistic regression in rare events data, Political Analysis 2001); with "sampling", every breed
            comes equally often, in a batch up to two pictures more or less, and all pictures of a breed come before any
            of them comes again.
        seed: of the order.
    """
    count = settings.looks * settings.validate_every * settings.batch_size
    generator = np.random.default_rng(seed)
    sampled = settings.class_balance == "sampling"
    order = (
        _sampled_order(labels, count, generator) if sampled else _in_rounds(np.arange(len(labels)), count, generator)
    )
    smoothing = np.float32(settings.label_smoothing)
    targets = np.eye(classes, dtype=np.float32) * (1 - smoothing) + smoothing / classes
    weights = None
    if settings.class_balance == "weights":
        from sklearn.utils.class_weight import compute_sample_weight  # here, as it takes a second to load

        weights = compute_sample_weight("balanced", labels).astype(np.float32)
    orders = tf.data.Dataset.from_tensor_slices(order).batch(settings.batch_size)
    return _batches(inputs, labels, targets, orders, weights)


def validation_batches(
    inputs: np.ndarray | Rows, labels: np.ndarray, classes: int, batch_size: int
) -> tf.data.Dataset | tf.distribute.DistributedDataset:
    """Every picture once, in order, with its label as it is: so that losses compare whatever training smoothed.

    Several devices, in whose scope this is called, get `shares_of_devices`.
    """
    order, targets = np.arange(len(labels)), np.eye(classes, dtype=np.float32)
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1:
        return _batches(inputs, labels, targets, tf.data.Dataset.from_tensor_slices(order).batch(batch_size))
    shares = shares_of_devices(order, batch_size, strategy.num_replicas_in_sync)
    warnings.filterwarnings("ignore", "Your input ran out of data")  # Keras can't count shares
    orders = tf.data.Dataset.from_generator(lambda: shares, output_signature=tf.TensorSpec((None,), order.dtype))
    return strategy.distribute_datasets_from_function(lambda _: _batches(inputs, labels, targets, orders))


def shares_of_devices(order: np.ndarray, batch_size: int, devices: int) -> list[np.ndarray]:
    """Cut ``order``, of two pictures a device at least, into shares whose sizes differ by 1 at most.

    Each device in turn gets one.

    TensorFlow's own division of a last batch may leave a device without a picture, over which its convolutions stumble.
    The first share of each device has the same size, as Keras takes the mean over them to see what they look like.
    """
    rounds = min(max(2, math.ceil(len(order) / batch_size)), len(order) // devices)
    size, larger = divmod(len(order), rounds * devices)
    sizes = [size + 1] * larger + [size] * (rounds * devices - larger)
    return np.split(order, np.cumsum(sizes if larger >= devices else sizes[::-1])[:-1])
