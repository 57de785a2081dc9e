"""Over which devices of this machine a network is trained: over all GPUs together, where there are two or more."""

import contextlib
import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def visible_devices() -> list[str]:
    """TensorFlow's names of the GPUs that it sees, or of the processors where it sees no GPU."""
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]


def devices_for(batch_size: int, val_pictures: int, visible: Sequence[str]) -> list[str]:
    """As many of ``visible``, from the first on, as a batch divides among without a rest, and val with two for each.

    The gradient is the mean over the devices of each one's mean over its pictures, so their shares have to be equal.
    What val needs is said at `shares_of_devices`.
    """
    most = max(1, min(len(visible), val_pictures // 2))
    return list(visible[: max(count for count in range(1, most + 1) if batch_size % count == 0)])


def all_devices(
    batch_size: int, val_pictures: int, visible: Sequence[str] | None = None
) -> contextlib.AbstractContextManager[Any]:
    """The scope in which to make and train a network, so that `visible_devices` train it together.

    They have the same weights, and each takes its share of every batch. With one device the scope does nothing at all.

    Args:
        batch_size: pictures in a batch, of all devices together.
        val_pictures: how many pictures there are in val.
        visible: TensorFlow's names of devices; None for `visible_devices`.
    """
    visible = visible_devices() if visible is None else visible
    devices = devices_for(batch_size, val_pictures, visible)
    if len(visible) > 1:
        reason = (
            f", as a batch of {batch_size} has to be divided equally, and val, of {val_pictures} pictures, needs two "
            "for each"
        )
        print(f"devices: {len(devices)} of {len(visible)}{reason if len(devices) < len(visible) else ''}")
    return _together(tuple(devices)).scope() if len(devices) > 1 else contextlib.nullcontext()


@functools.cache  # TensorFlow would mix up the sums that two strategies over the same devices make
def _together(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(devices)
