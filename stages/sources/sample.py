"""Draw the sample: portraits of five breeds of dogs, to try the pipeline on without downloading anything.

Reads nothing. Makes ``data/sample/<Breed>/<breed>_<number>.jpg``, every tenth a ``.png``: 60 pictures a breed, 192 to
256 pixels a side. A picture depends on `SEED`, its breed and its number only, not on how many others are drawn.

Run alone: ``python -m stages.sources.sample``. Cost when last measured: 15 s on two free cores (30 s
of processor time), up to 30 s on busy ones; 7 MB.

The breeds overlap in the colour of their coats and share backgrounds, light, blur and things in the way. What tells
them apart is the shape of ears and muzzle and the length of the hair; Pyrenees and Samoyed differ in nothing but the
ears, which hang or stand.
"""

from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.lib.core.outputs import whole_folder
from stages.lib.core.parallel import in_processes
from stages.sources.breeds import BREEDS, Breed
from stages.sources.coats import Dog, Pose
from stages.sources.portraits import draw_beard, draw_body, draw_ears, draw_face, draw_head
from stages.sources.scenery import (
    COLOURS,
    LONGEST_SIDE,
    SHORTEST_SIDE,
    draw_background,
    draw_foreground,
    mix,
    photograph,
)

SEED = 11  # with it the nearest pictures, mirrored or not, differ in 10 of the 64 bits of their perceptual hashes
PICTURES_PER_BREED = 60
PNG_EVERY = 10
JPEG_QUALITY = 92
INDIVIDUALITY = 0.1  # standard deviation of a dog's measures around its breed's, as a share of them

TAN, DARK_HAIR = (190, 126, 76), (70, 58, 52)

# Where markings lie on the head: x, y, z and radius.
PALE_FACE = [(0, 0.45, 1.1, 0.5), (-0.42, 0.4, 0.4, 0.36), (0.42, 0.4, 0.4, 0.36)]
TAN_POINTS = [(-0.22, 0.5, 0.9, 0.34), (0.22, 0.5, 0.9, 0.34), (-0.3, -0.28, 0.8, 0.14), (0.3, -0.28, 0.8, 0.14)]


def vary(part: Any, rng: np.random.Generator) -> Any:
    """Give a copy of a dataclass whose measures, nested ones too, are an individual's."""
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    varied = {name: vary(value, rng) for name, value in values.items() if is_dataclass(value)}
    numbers = {name: value for name, value in values.items() if isinstance(value, float | int)}
    return replace(part, **varied, **{name: value * rng.normal(1, INDIVIDUALITY) for name, value in numbers.items()})


def choose_poses(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Pose, Pose]:
    """Place head and body near enough the middle that a square crop keeps most of the head."""
    unit = min(size) * rng.uniform(0.2, 0.3)
    x, y = size[0] * rng.uniform(0.41, 0.59), size[1] * rng.uniform(0.44, 0.56)
    yaw, pitch, roll = np.clip(rng.normal((0, 0.06, 0), (0.3, 0.12, 0.2)), (-0.48, -0.15, -0.5), (0.48, 0.32, 0.5))
    head = Pose((x, y), unit, yaw, pitch, roll)
    body = Pose((x + unit * rng.normal(0, 0.18), y + unit * 0.1), unit, rng.normal(0, 0.3), 0, roll * 0.3)
    return head, body


def choose_dog(rng: np.random.Generator, breed: Breed, size: tuple[int, int]) -> Dog:
    """Give one dog of the breed with a coat, a pose and a light of its own."""
    head, body = choose_poses(rng, size)
    light = rng.normal((0, -0.6, 0.9), (0.5, 0.25, 0.15))
    name = rng.choice(list(breed.coat.colours), p=list(breed.coat.colours.values()))
    base = np.array(COLOURS[name]) * rng.normal(1, 0.05) + rng.normal(0, 3, 3)
    pale, dark = mix(base, COLOURS["white"], rng.uniform(0.4, 0.8)), mix(base, DARK_HAIR, rng.uniform(0.4, 0.8))
    has = {marking: rng.random() < chance for marking, chance in breed.chances.items()}
    chest, ears = base, {side: mix(base, DARK_HAIR, rng.uniform(0.05, 0.25)) for side in (-1, 1)}
    markings = []
    if has["pale face"]:
        chest = pale
        markings += [(pale, (x, y, z), radius) for x, y, z, radius in PALE_FACE]
    if name == "black":
        chest = mix(base, TAN, rng.uniform(0, 1))
        markings += [(chest, (x, y, z), radius) for x, y, z, radius in TAN_POINTS]
    if has["dark mask"]:
        markings += [(dark, (0, 0.45, 1.1), 0.45)]
    if has["patches"]:
        patch = mix(base, COLOURS[rng.choice(["grey", "wheaten", "chestnut"])], rng.uniform(0.4, 0.9))
        for side in rng.choice([-1, 1], size=rng.integers(1, 3), replace=False).tolist():
            markings += [(patch, (side * 0.6, -0.35, 0.4), rng.uniform(0.45, 0.7))]
            ears[side] = patch
    light /= np.linalg.norm(light)
    return Dog(vary(breed, rng), base, chest, ears, markings, head, body, light, rng.uniform(0.45, 0.75))


def draw_dog(breed: str, number: int) -> Image.Image:
    """Draw picture ``number`` of a breed: RGB, sides of 192 to 256 pixels."""
    rng = np.random.default_rng([SEED, list(BREEDS).index(breed), number])
    size = tuple(rng.integers(SHORTEST_SIDE, LONGEST_SIDE + 1, 2).tolist())
    canvas = draw_background(rng, size)
    dog = choose_dog(rng, BREEDS[breed], size)
    hanging = dog.breed.ear.lean > 90
    draw_body(canvas, rng, dog)
    if not hanging:
        draw_ears(canvas, rng, dog)
    draw_head(canvas, rng, dog)
    draw_face(canvas, rng, dog)
    if dog.breed.chances["beard"]:
        draw_beard(canvas, rng, dog)
    if hanging:
        draw_ears(canvas, rng, dog)
    draw_foreground(canvas, rng)
    return photograph(canvas, rng)


def save_dog(folder: Path, breed: str, number: int) -> None:
    """Draw one picture into its breed's folder, which must exist."""
    suffix = "png" if number % PNG_EVERY == PNG_EVERY - 1 else "jpg"
    draw_dog(breed, number).save(folder / breed / f"{breed.lower()}_{number:03}.{suffix}", quality=JPEG_QUALITY)


def draw_sample(folder: Path, pictures_per_breed: int) -> None:
    """Draw the first pictures of every breed into ``folder``."""
    for breed in BREEDS:
        (folder / breed).mkdir(parents=True)
    pictures = [partial(save_dog, folder, breed, number) for breed in BREEDS for number in range(pictures_per_breed)]
    in_processes(pictures, what="drawing", unit="picture")


def main() -> None:
    """Draw the whole sample."""
    with whole_folder(paths.SAMPLE) as folder:
        draw_sample(folder, PICTURES_PER_BREED)
    print(f"{len(BREEDS)} breeds × {PICTURES_PER_BREED} pictures in {paths.SAMPLE}")


if __name__ == "__main__":
    run(main)
