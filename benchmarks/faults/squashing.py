"""Photos that are not square are squashed into a square, which changes the dogs' shapes, each in another way.

The patch: `to_square` is told "squash", which is what `target_size=(128, 128)` does. Each photo is first cut to a
format that phones and cameras have.
"""

from dataclasses import replace

import numpy as np
from PIL import Image

from benchmarks.faults.outcomes import Outcome
from benchmarks.faults.photos import SIDE, Photographs, frozen_features, pixels_of
from benchmarks.faults.recipe import Recipe

FORMATS = (4 / 3, 3 / 4, 3 / 2, 2 / 3, 16 / 9, 9 / 16)  # width by height


def cut_to_format(photo: Image.Image, place: int) -> Image.Image:
    """The largest centred part of ``photo`` that has one of `FORMATS`; its place in the folder says which."""
    wanted = float(np.random.default_rng(place).choice(FORMATS))
    width, height = min(photo.width, photo.height * wanted), min(photo.height, photo.width / wanted)
    left, top = (photo.width - width) / 2, (photo.height - height) / 2
    return photo.crop((round(left), round(top), round(left + width), round(top + height)))


def measure(photographs: Photographs, seeds: list[int]) -> list[Outcome]:
    """A head on EfficientNetLite0's features of squashed photos; sound crops them, or pads them.

    In a third case it is asked about photos that were cropped, as by an app that does not know how it was trained.
    """
    params, outcomes = photographs.params, []
    cut = [cut_to_format(photo, place) for place, photo in enumerate(photographs.images)]
    made = {how: frozen_features("EfficientNetLite0", pixels_of(cut, SIDE, how)) for how in ("squash", "crop", "pad")}
    for seed in seeds:
        recipes = {
            how: Recipe(replace(photographs.photos, inputs=inputs), params.transfer, params.split, seed)
            for how, inputs in made.items()
        }
        worth = {how: recipe.accuracy(recipe.test) for how, recipe in recipes.items()}
        for how in ("crop", "pad"):
            case = f"instead of {how}"
            outcomes.append(Outcome("squashing", case, seed, worth["squash"], worth["squash"], worth[how]))
        true = recipes["squash"].accuracy(recipes["squash"].test, made["crop"])
        case = "trained squashed, asked cropped"
        outcomes.append(Outcome("squashing", case, seed, worth["squash"], true, worth["crop"]))
    return outcomes
