"""What a trained model costs to keep and to ask: size on disk, milliseconds a photo."""

import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from stages.lib.core.hashes import hash_file
from stages.lib.networks.graphs import average_views

BATCH_SIZES = {1: 5, 32: 1}  # photos at once, and how often that is timed


class Asked(Protocol):
    """A network of Keras' or of another runtime."""

    input_shape: tuple[int, ...]

    def predict_on_batch(self, photos: np.ndarray) -> Any:
        """Photos 0-255 (n, side, side, 3) to what the network gives of them."""


def architecture(network: keras.Model) -> tuple[tuple[str, str], ...]:
    """The same for two networks that do the same work with other weights."""
    return tuple((type(operation).__name__, str(operation.output.shape)) for operation in network.operations)


def milliseconds_a_photo(network: Asked, sizes: Iterable[int] = BATCH_SIZES) -> dict[str, float]:
    """``milliseconds_batch_<size>`` a photo, for some of `BATCH_SIZES`: the median, after one to warm up.

    The photos are noise, in memory: reading them is not timed.
    """
    found = {}
    for size in sizes:
        photos = np.random.default_rng(0).integers(0, 256, (size, *network.input_shape[1:]), np.uint8)
        network.predict_on_batch(photos)  # builds the graph for this size
        seconds = []
        for _ in range(BATCH_SIZES[size]):
            start = time.perf_counter()
            network.predict_on_batch(photos)
            seconds.append(time.perf_counter() - start)
        found[f"milliseconds_batch_{size}"] = round(1000 * statistics.median(seconds) / size, 3)
    return found


def time_networks(networks: dict[str, keras.Model], views: int) -> dict[str, dict[str, float]]:
    """`milliseconds_a_photo` of each network when it is asked about ``views`` views of a photo, see `average_views`.

    Of networks that differ in their weights alone, the first is timed.
    """
    timed: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for network in networks.values():
        kind = architecture(network)
        if kind not in timed:
            timed[kind] = milliseconds_a_photo(average_views(network, views))
    return {name: timed[architecture(network)] for name, network in networks.items()}


def describe_file(network: keras.Model, path: Path) -> dict[str, Any]:
    """``parameters``, the count of its weights; of its file, ``megabytes`` (1,000,000 bytes) and ``sha256``."""
    return {
        "parameters": network.count_params(),
        "megabytes": round(path.stat().st_size / 1e6, 1),
        "sha256": hash_file(path),
    }
