"""Pictures and arrays as batches for Keras, in an order that the seed alone decides."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from stages.lib.arrays import Rows
from stages.lib.params import Training


def _batches(
    inputs: np.ndarray | Rows, labels: np.ndarray, targets: np.ndarray, order: np.ndarray, batch_size: int
) -> tf.data.Dataset:
    """Gather batch after batch of ``order`` while the one before is trained on; ``targets`` has a row a label."""

    def gather(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return inputs[indices], targets[labels[indices]]

    def load(indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        x, y = tf.numpy_function(gather, [indices], [inputs.dtype, targets.dtype])
        x.set_shape((None, *inputs.shape[1:]))
        y.set_shape((None, *targets.shape[1:]))
        return x, y

    return tf.data.Dataset.from_tensor_slices(order).batch(batch_size).map(load).prefetch(tf.data.AUTOTUNE)


def training_batches(
    inputs: np.ndarray | Rows, labels: np.ndarray, classes: int, settings: Training, seed: int
) -> tf.data.Dataset:
    """Batches for ``settings.steps`` steps, rounded up to whole looks at val; all pictures come before any comes again.

    Args:
        inputs: (n, ...), whatever the network takes, in memory or on disk.
        labels: int (n,) in [0, classes).
        classes: how many breeds there are.
        settings: ``steps``, ``batch_size``, and ``label_smoothing``, the share of each label that is spread over all
            breeds (Szegedy et al., Rethinking the Inception architecture, CVPR 2016, section 7).
        seed: of the order.
    """
    count = settings.looks * settings.validate_every * settings.batch_size
    generator = np.random.default_rng(seed)
    rounds = math.ceil(count / len(labels))
    order = np.concatenate([generator.permutation(len(labels)) for _ in range(rounds)])[:count]
    smoothing = np.float32(settings.label_smoothing)
    targets = np.eye(classes, dtype=np.float32) * (1 - smoothing) + smoothing / classes
    return _batches(inputs, labels, targets, order, settings.batch_size)


def validation_batches(inputs: np.ndarray | Rows, labels: np.ndarray, classes: int, batch_size: int) -> tf.data.Dataset:
    """Every picture once, in order, with its label as it is: so that losses compare whatever training smoothed."""
    return _batches(inputs, labels, np.eye(classes, dtype=np.float32), np.arange(len(labels)), batch_size)


def picture_batches(files: list[Path], batch_size: int) -> tf.data.Dataset:
    """Read PNG pictures of one size in batches, in order, while the batch before is computed on: uint8 RGB."""

    def read(file: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_png(tf.io.read_file(file), channels=3)

    names = tf.data.Dataset.from_tensor_slices([str(file) for file in files])
    return names.map(read, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def encode(breeds: list[str], names: list[str]) -> np.ndarray:
    """The place of each of ``breeds`` in ``names``: int (n,)."""
    place = {name: index for index, name in enumerate(names)}
    return np.array([place[breed] for breed in breeds])


def write_breeds(breeds: list[str], folder: Path, split: str) -> None:
    """Write the breeds of ``split``'s pictures to ``folder``, in the order of its array."""
    pd.DataFrame({"breed": breeds}).to_csv(folder / f"{split}.csv", index=False)


def read_features(folder: Path, split: str) -> tuple[Rows, list[str]]:
    """The rows of ``split``.npy, still on disk, and the breeds that `write_breeds` wrote beside them."""
    breeds = pd.read_csv(folder / f"{split}.csv", dtype=str, keep_default_na=False)["breed"].tolist()
    return Rows(folder / f"{split}.npy"), breeds
