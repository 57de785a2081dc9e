"""What a trained model costs to keep and to ask: size on disk, milliseconds a photo."""

import statistics
import time
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from stages.lib.core.hashes import hash_file
from stages.lib.networks.graphs import average_views

TIMED = 5  # times that each network is asked


class Asked(Protocol):
    """A network of Keras' or of another runtime."""

    input_shape: tuple[int, ...]

    def predict_on_batch(self, photos: np.ndarray) -> Any:
        """Photos 0-255 (n, side, side, 3) to what the network gives of them."""


def architecture(network: keras.Model) -> tuple[tuple[str, str], ...]:
    """The same for two networks that do the same work with other weights."""
    return tuple((type(operation).__name__, str(operation.output.shape)) for operation in network.operations)


def milliseconds_a_photo(network: Asked) -> float:
    """Milliseconds that ``network`` takes for one photo: the median of `TIMED`, after one to warm up.

    The photo is noise, in memory: reading it is not timed.
    """
    photo = np.random.default_rng(0).integers(0, 256, (1, *network.input_shape[1:]), np.uint8)
    network.predict_on_batch(photo)  # builds the graph
    seconds = []
    for _ in range(TIMED):
        start = time.perf_counter()
        network.predict_on_batch(photo)
        seconds.append(time.perf_counter() - start)
    return round(1000 * statistics.median(seconds), 3)


def time_networks(networks: dict[str, keras.Model], views: int) -> dict[str, float]:
    """`milliseconds_a_photo` of each network when it is asked about ``views`` views of a photo, see `average_views`.

    Of networks that differ in their weights alone, the first is timed.
    """
    timed: dict[tuple[tuple[str, str], ...], float] = {}
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
