"""Pixels scaled to 0-1 for a network that wants something else: blue-green-red minus ImageNet's mean, as VGG16 does.

The patch: the network's entry in the registry names another preprocessing.
"""

from dataclasses import replace
from unittest import mock

import keras
import numpy as np

from benchmarks.faults.outcomes import Outcome
from benchmarks.faults.photos import Photographs, frozen_features
from benchmarks.faults.recipe import Recipe
from stages.lib.core.registry import NETWORKS


def scale(pixels: keras.KerasTensor | np.ndarray) -> keras.KerasTensor | np.ndarray:
    """0-255 to 0-1, as `ImageDataGenerator(rescale=1/255)` does whatever the network."""
    return pixels / 255.0


def features_of_scaled(network: str, pixels: np.ndarray) -> np.ndarray:
    """What the frozen network makes of scaled pixels: float32 (pictures, channels)."""
    patched = NETWORKS[network]._replace(preprocessing="benchmarks.faults.scaled_pixels:scale")
    with mock.patch.dict(NETWORKS, {network: patched}):
        return frozen_features(network, pixels)


def measure(photographs: Photographs, seeds: list[int]) -> list[Outcome]:
    """A head on VGG16's features, and on EfficientNetLite0's, of pixels as they should be and scaled."""
    params, outcomes = photographs.params, []
    for network in ("VGG16", "EfficientNetLite0"):
        sound = photographs.features(network, "photos")
        faulty = replace(sound, inputs=features_of_scaled(network, photographs.pixels))
        for seed in seeds:
            right, wrong = (Recipe(each, params.transfer, params.split, seed) for each in (sound, faulty))
            worth = wrong.accuracy(wrong.test)  # the report is honest: all photos were scaled alike
            outcomes.append(Outcome("scaled_pixels", network, seed, worth, worth, right.accuracy(right.test)))
    return outcomes
