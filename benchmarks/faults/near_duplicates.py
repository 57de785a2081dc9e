"""Near duplicates on both sides of the split: what tests was seen in training, lightly edited.

The patch: `groups` takes each photo for one of a kind. Edits as phones and messengers make them are planted: of a
share of the photos, the folder holds one.
"""

import numpy as np

from benchmarks.faults.outcomes import Outcome
from benchmarks.faults.photos import Photographs
from benchmarks.faults.recipe import Pictures, Recipe

PLANTED = (0.0, 0.1, 0.3)  # shares of the photos that have an edit


class SplitByFile(Recipe):
    """Every file counts as a picture of its own."""

    def groups(self) -> np.ndarray:
        """No two photos belong together."""
        return np.arange(len(self.pictures.groups))


def plant(pictures: Pictures, share: float, seed: int) -> Pictures:
    """Photos, and the edits of a share of them, out of ``pictures``, where each photo has one."""
    photos = len(pictures.shows) // 2
    chosen = np.random.default_rng(seed).permutation(photos) < round(share * photos)
    return pictures.only(np.concatenate([np.ones(photos, bool), chosen]))


def known(recipe: Recipe) -> np.ndarray:
    """Which photos of test show what also trains, as it is or edited: bool (n,)."""
    shows = recipe.pictures.shows
    return recipe.test & np.isin(shows, shows[recipe.training()])


def measure(photographs: Photographs, seeds: list[int]) -> list[Outcome]:
    """The CNN and a head; true, and sound, is what it has on the photos of test of which training knows no edit."""
    params, outcomes = photographs.params, []
    for network, pictures, settings in photographs.small_and_frozen("with_edits"):
        for share in PLANTED:
            for seed in seeds:
                faulty = SplitByFile(plant(pictures, share, seed), settings, params.split, seed)
                true = faulty.accuracy(faulty.test & ~known(faulty))
                case = f"{network}, {share:.0%} planted"
                outcomes.append(Outcome("near_duplicates", case, seed, faulty.accuracy(faulty.test), true, true))
    return outcomes
