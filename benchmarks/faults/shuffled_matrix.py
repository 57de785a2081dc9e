"""The confusion matrix of a generator that shuffles: answers in one order, labels in another.

The patch: `predicted` asks about the pictures in another order than that in which they are listed.
"""

import numpy as np

from benchmarks.faults.outcomes import Outcome
from benchmarks.faults.photos import Photographs
from benchmarks.faults.recipe import Recipe


class ShuffledMatrix(Recipe):
    """Its labels are in order, its answers are not."""

    def predicted(self, rows: np.ndarray, inputs: np.ndarray | None = None) -> np.ndarray:
        """As `generator.flow_from_directory(…)` without `shuffle=False` gives them, beside `generator.classes`."""
        return np.random.default_rng(self.seed).permutation(super().predicted(rows, inputs))


def measure(photographs: Photographs, seeds: list[int]) -> list[Outcome]:
    """The accuracy that the matrix shows, its diagonal, of a head on EfficientNetLite0's features."""
    params, outcomes = photographs.params, []
    pictures = photographs.features("EfficientNetLite0", "photos")
    for seed in seeds:
        right, wrong = (recipe(pictures, params.transfer, params.split, seed) for recipe in (Recipe, ShuffledMatrix))
        worth = right.accuracy(right.test)
        outcomes.append(Outcome("shuffled_matrix", "head", seed, wrong.accuracy(wrong.test), worth, worth))
    return outcomes
