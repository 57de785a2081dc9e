"""One split and one seed are taken for the truth: of two models, the one that wins there is called the better one.

The patch: one seed out of many is believed. The mean over all of them tells which model is better on these photos.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from benchmarks.faults.outcomes import Outcome
from benchmarks.faults.photos import Photographs, frozen_features, pixels_of
from benchmarks.faults.recipe import Pictures, Recipe
from stages.lib.probes.linear_probe import linear_probe

SPLITS = 100
SEEDS = 10  # of a network on one and the same split
PAIRS = {
    "EfficientNetLite0 or VGG16, both at 128": (("EfficientNetLite0", 128), ("VGG16", 128)),
    "EfficientNetLite0 at 160 or at 128": (("EfficientNetLite0", 160), ("EfficientNetLite0", 128)),
}


@dataclass(frozen=True)
class SameSplit(Recipe):
    """The seed moves weights and batches, but not the split."""

    @cached_property
    def splits(self) -> np.ndarray:
        """Those of seed 1."""
        return Recipe(self.pictures, self.settings, self.shares, 1).splits


def probe_accuracy(pictures: Pictures, recipe: Recipe) -> float:
    """Accuracy on the test photos of ``recipe`` of a logistic regression fitted on its train, which has no seed."""
    train, test, labels = recipe.training(), recipe.test, pictures.labels
    return float(linear_probe().fit(pictures.inputs[train], labels[train]).score(pictures.inputs[test], labels[test]))


def splits_compared(photographs: Photographs) -> list[Outcome]:
    """Of each of `SPLITS` splits, by how much one model of a pair beats the other; true is the mean of all."""
    params, photos, features = photographs.params, photographs.photos, {}
    for network, side in {model for pair in PAIRS.values() for model in pair}:
        pixels = photographs.pixels if side == photographs.pixels.shape[1] else pixels_of(photographs.images, side)
        features[network, side] = replace(photos, inputs=frozen_features(network, pixels))
    outcomes = []
    for case, pair in PAIRS.items():
        gains = []
        for seed in range(1, SPLITS + 1):
            recipe = Recipe(photos, params.transfer, params.split, seed)
            one, other = (probe_accuracy(features[model], recipe) for model in pair)
            gains.append(one - other)
        true = float(np.mean(gains))
        outcomes += [Outcome("one_split", case, seed, gain, true, true) for seed, gain in enumerate(gains, start=1)]
    return outcomes


def measure(photographs: Photographs, seeds: list[int]) -> list[Outcome]:  # noqa: ARG001, it takes many more
    """Pairs of models over many splits; and the accuracy of one network on one split over many seeds."""
    outcomes = splits_compared(photographs)
    for network, pictures, settings in photographs.small_and_frozen("photos"):
        recipes = [SameSplit(pictures, settings, photographs.params.split, seed) for seed in range(1, SEEDS + 1)]
        worth = [recipe.accuracy(recipe.test) for recipe in recipes]
        true = float(np.mean(worth))
        case = f"{network}, one split, other seeds"
        outcomes += [Outcome("one_split", case, seed, each, true, true) for seed, each in enumerate(worth, start=1)]
    return outcomes
