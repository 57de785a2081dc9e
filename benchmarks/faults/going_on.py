""" "With augmentation" goes on training the model that was just trained without: it has twice the steps behind it.

The patch: `start` gives the trained network in place of a new one.
"""

from dataclasses import dataclass

import keras

from benchmarks.faults.outcomes import Outcome
from benchmarks.faults.photos import Photographs
from benchmarks.faults.recipe import Recipe


@dataclass(frozen=True)
class GoingOn(Recipe):
    """Begins where another training ended."""

    before: keras.Model

    def start(self) -> keras.Model:
        """The network of the training before, as `model.fit` finds it when it is called again."""
        return self.before


def measure(photographs: Photographs, seeds: list[int]) -> list[Outcome]:
    """What augmentation seems to gain and what it gains, in accuracy on test, on the CNN and on a head.

    Reported is the gain of the model that goes on, true that of one that starts anew with as many steps as the one
    without; sound is the same, as this pipeline reports that.
    """
    params, outcomes = photographs.params, []
    for network, pictures, settings in photographs.small_and_frozen("with_views"):
        for seed in seeds:
            plain = Recipe(pictures.only(~pictures.views), settings, params.split, seed)
            without = plain.accuracy(plain.test)
            fresh = Recipe(pictures, settings, params.split, seed)
            gain = fresh.accuracy(fresh.test) - without
            going_on = GoingOn(pictures, settings, params.split, seed, plain.trained[0])
            reported = going_on.accuracy(going_on.test) - without
            outcomes.append(Outcome("going_on", network, seed, reported, gain, gain))
    return outcomes
