"""Views leak into val: photos are augmented first and split afterwards, so that val shows what trains, turned a little.

The patch: `splits` deals out pictures, not photos. Test stays apart by photo, so that it can tell what is true.
"""

from functools import cached_property

import numpy as np

from benchmarks.faults.outcomes import Outcome
from benchmarks.faults.photos import Photographs
from benchmarks.faults.recipe import Recipe


class AugmentedFirst(Recipe):
    """Val is drawn from photos and views alike."""

    @cached_property
    def splits(self) -> np.ndarray:
        """As they should be, but that each picture outside of test goes to val by itself."""
        splits = super().splits.copy()
        rest = np.flatnonzero(splits != "test")
        share = self.shares.val / (1 - self.shares.test)
        splits[rest] = "train"
        splits[np.random.default_rng(self.seed).permutation(rest)[: round(share * len(rest))]] = "val"
        return splits

    def steering(self) -> np.ndarray:
        """All pictures of val, views too."""
        return self.splits == "val"


def measure(photographs: Photographs, seeds: list[int]) -> list[Outcome]:
    """Reported is the accuracy on val, true that on photos of test and their views, of the CNN and of a head."""
    params, outcomes = photographs.params, []
    for network, pictures, settings in photographs.small_and_frozen("with_views"):
        for seed in seeds:
            right, wrong = (each(pictures, settings, params.split, seed) for each in (Recipe, AugmentedFirst))
            test = wrong.splits == "test"
            outcome = wrong.accuracy(wrong.steering()), wrong.accuracy(test), right.accuracy(test)
            outcomes.append(Outcome("leaking_views", network, seed, *outcome))
    return outcomes
