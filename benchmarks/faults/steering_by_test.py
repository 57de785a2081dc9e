"""The test photos are the validation data: they say when to stop and which weights to keep, and are then reported.

The patch: `steering` gives half of the test photos. The other half, which nobody looked at, tells what is true. Each
half is in each role once, so that it does not matter if one is easier.
"""

from dataclasses import dataclass

import numpy as np

from benchmarks.faults.outcomes import Outcome
from benchmarks.faults.photos import Photographs
from benchmarks.faults.recipe import Recipe
from stages.lib.core.params import Split

SHARES = Split(test=0.5, val=0.1)


@dataclass(frozen=True)
class SteeredByTest(Recipe):
    """Test steers, by half."""

    half: int  # 0 or 1, which

    def halves(self) -> list[np.ndarray]:
        """The rows of test in two halves, breed by breed: bool (n,) each."""
        place = np.zeros(len(self.test), int)
        for breed in {*self.pictures.breeds.tolist()}:
            rows = np.flatnonzero(self.test & (self.pictures.breeds == breed))
            place[rows] = np.random.default_rng(self.seed).permutation(len(rows)) % 2
        return [self.test & (place == half) for half in (0, 1)]

    def steering(self) -> np.ndarray:
        """Not val, but what is reported in the end."""
        return self.halves()[self.half]


def measure(photographs: Photographs, seeds: list[int]) -> list[Outcome]:
    """The CNN and a head: reported of the weights that were kept, and as the highest accuracy of the history."""
    outcomes = []
    for network, pictures, settings in photographs.small_and_frozen("photos"):
        for seed in seeds:
            right = Recipe(pictures, settings, SHARES, seed)
            kept, highest, true = [], [], []
            for half in (0, 1):
                faulty = SteeredByTest(pictures, settings, SHARES, seed, half)
                kept.append(faulty.accuracy(faulty.steering()))
                highest.append(faulty.trained[1]["val_accuracy"].max())
                true.append(faulty.accuracy(faulty.halves()[1 - half]))
            for case, reported in (("kept weights", kept), ("best epoch", highest)):
                outcome = np.mean(reported), np.mean(true), right.accuracy(right.test)
                outcomes.append(Outcome("steering_by_test", f"{network}, {case}", seed, *map(float, outcome)))
    return outcomes
