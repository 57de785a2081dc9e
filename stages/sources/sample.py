"""Draw the sample: portraits of five breeds of dogs, to try the pipeline on without downloading anything.

Reads nothing. Makes ``data/sample/<Breed>/<breed>_<number>.jpg``, every tenth a ``.png``: 60 pictures a breed, 192 to
256 pixels a side. A picture depends on `SEED`, its breed and its number only, not on how many others are drawn.

Run alone: ``python -m stages.sources.sample``. Cost when last measured: 15 s on two free cores (30 s
of processor time), up to 30 s on busy ones; 7 MB.

The breeds overlap in the colour of their coats and share backgrounds, light, blur and things in the way. What tells
them apart is the shape of ears and muzzle and the length of the hair; Pyrenees and Samoyed differ in nothing but the
ears, which hang or stand.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.lib.core.outputs import whole_folder
from stages.lib.core.parallel import in_processes
from stages.sources.scenery import (
    COLOURS,
    LONGEST_SIDE,
    SHORTEST_SIDE,
    Canvas,
    Colour,
    draw_background,
    draw_foreground,
    enlarged,
    mix,
    oval,
    photograph,
    rotate,
    smooth_noise,
)

SEED = 11  # with it the nearest pictures, mirrored or not, differ in 10 of the 64 bits of their perceptual hashes
PICTURES_PER_BREED = 60
PNG_EVERY = 10
JPEG_QUALITY = 92
HAIRS_PER_PIXEL = 0.4
SOFTNESS = 0.12  # how far balls melt into one another, in head units
INDIVIDUALITY = 0.1  # standard deviation of a dog's measures around its breed's, as a share of them

TAN, DARK_HAIR = (190, 126, 76), (70, 58, 52)
NOSE, PINK_NOSE, MOUTH, TONGUE, EAR_SKIN = (40, 35, 36), (130, 92, 86), (62, 26, 30), (224, 126, 132), (196, 138, 126)
PUPIL, GLINT = (18, 14, 16), (250, 250, 250)

# Where markings lie on the head: x, y, z and radius.
PALE_FACE = [(0, 0.45, 1.1, 0.5), (-0.42, 0.4, 0.4, 0.36), (0.42, 0.4, 0.4, 0.36)]
TAN_POINTS = [(-0.22, 0.5, 0.9, 0.34), (0.22, 0.5, 0.9, 0.34), (-0.3, -0.28, 0.8, 0.14), (0.3, -0.28, 0.8, 0.14)]

Ball = tuple[float, ...]  # x, y, z, radius across, radius down
Marking = tuple[Colour, tuple[float, float, float], float]  # colour, centre and radius of a patch of the coat


@dataclass(frozen=True)
class Coat:
    """Colours with their chances, the length of the hair, and how untidy it is (0 flat, 1 on end)."""

    colours: dict[str, float]
    hair: float
    tousle: float


@dataclass(frozen=True)
class Head:
    """Height of the skull, radii of cheeks and jaw, and the measures of muzzle and eyes."""

    skull: float
    cheeks: float
    jaw: float
    muzzle: float
    muzzle_width: float
    muzzle_drop: float
    eye: float
    eye_gap: float


@dataclass(frozen=True)
class Ear:
    """Where an ear is rooted, sideways and upwards of the middle, and its shape."""

    spread: float
    lift: float
    length: float
    width: float
    lean: float  # degrees: 0 stands upright, 90 points sideways, 180 hangs
    roundness: float  # 1 is a triangle, more a leaf


@dataclass(frozen=True)
class Breed:
    """How a breed looks; lengths are in half widths of a head, about a quarter of a picture's shorter side."""

    coat: Coat
    head: Head
    ear: Ear
    neck: float
    chances: dict[str, float]  # of markings, a smile and a beard, in [0, 1]


CAIRN_COLOURS = {"wheaten": 0.25, "cream": 0.18, "grey": 0.18, "brindle": 0.15, "sand": 0.12, "black": 0.12}
CHIHUAHUA_COLOURS = {"fawn": 0.2, "ginger": 0.2, "cream": 0.18, "black": 0.16, "white": 0.14, "sand": 0.12}
DINGO_COLOURS = {"ginger": 0.28, "sand": 0.2, "cream": 0.18, "fawn": 0.14, "black": 0.12, "white": 0.08}

SAMOYED = Breed(
    coat=Coat({"white": 0.6, "cream": 0.32, "silver": 0.08}, hair=0.28, tousle=0.25),
    head=Head(0.84, 0.56, 0.6, muzzle=0.5, muzzle_width=0.42, muzzle_drop=0.22, eye=0.12, eye_gap=0.37),
    ear=Ear(spread=0.58, lift=0.66, length=0.88, width=0.68, lean=20, roundness=1.35),
    neck=1.05,
    chances={"pale face": 0.1, "dark mask": 0.04, "patches": 0.3, "smile": 0.5, "beard": 0},
)

BREEDS = {
    "Cairn": Breed(
        coat=Coat(CAIRN_COLOURS, hair=0.32, tousle=0.55),
        head=Head(0.8, 0.5, 0.58, muzzle=0.34, muzzle_width=0.4, muzzle_drop=0.2, eye=0.13, eye_gap=0.35),
        ear=Ear(spread=0.54, lift=0.62, length=0.86, width=0.58, lean=20, roundness=1.25),
        neck=0.9,
        chances={"pale face": 0.1, "dark mask": 0.3, "patches": 0.1, "smile": 0.2, "beard": 1},
    ),
    "Chihuahua": Breed(
        coat=Coat(CHIHUAHUA_COLOURS, hair=0.11, tousle=0.15),
        head=Head(0.9, 0.4, 0.5, muzzle=0.34, muzzle_width=0.29, muzzle_drop=0.22, eye=0.165, eye_gap=0.42),
        ear=Ear(spread=0.65, lift=0.52, length=1.1, width=0.8, lean=32, roundness=1.6),
        neck=0.62,
        chances={"pale face": 0.5, "dark mask": 0.1, "patches": 0.15, "smile": 0.2, "beard": 0},
    ),
    "Dingo": Breed(
        coat=Coat(DINGO_COLOURS, hair=0.12, tousle=0.15),
        head=Head(0.74, 0.36, 0.44, muzzle=0.8, muzzle_width=0.36, muzzle_drop=0.36, eye=0.115, eye_gap=0.38),
        ear=Ear(spread=0.52, lift=0.53, length=0.92, width=0.62, lean=17, roundness=1.3),
        neck=0.8,
        chances={"pale face": 0.6, "dark mask": 0.1, "patches": 0.15, "smile": 0.25, "beard": 0},
    ),
    "Pyrenees": replace(SAMOYED, ear=Ear(spread=0.78, lift=0.46, length=0.9, width=0.64, lean=170, roundness=1.4)),
    "Samoyed": SAMOYED,
}


@dataclass(frozen=True)
class Pose:
    """Where a part stands in the picture, pixels a head unit, and how it is turned in radians."""

    centre: tuple[float, float]
    unit: float
    yaw: float
    pitch: float
    roll: float

    def turn(self, points: Sequence[Any] | np.ndarray) -> np.ndarray:
        """Turn (n, 3) points in head units (x right, y down, z towards the viewer) by yaw and pitch."""
        x, y, z = np.asarray(points, dtype=float).reshape(-1, 3).T
        x, z = x * math.cos(self.yaw) + z * math.sin(self.yaw), z * math.cos(self.yaw) - x * math.sin(self.yaw)
        y, z = y * math.cos(self.pitch) + z * math.sin(self.pitch), z * math.cos(self.pitch) - y * math.sin(self.pitch)
        return np.stack([x, y, z], axis=1)

    def project(self, points: Sequence[Any] | np.ndarray) -> np.ndarray:
        """Give the (n, 2) places in the picture of (n, 3) points in head units."""
        return np.array(self.centre) + self.unit * rotate(self.turn(points)[:, :2], self.roll)

    def grid(self, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Give x and y in head units of every pixel, float32 (height, width) each."""
        rows, columns = np.mgrid[: size[1], : size[0]].astype(np.float32)
        x, y = (columns - self.centre[0]) / self.unit, (rows - self.centre[1]) / self.unit
        cosine, sine = math.cos(self.roll), math.sin(self.roll)
        return x * cosine + y * sine, y * cosine - x * sine


@dataclass(frozen=True)
class Dog:
    """One dog of a breed: its measures, coat, pose and light."""

    breed: Breed
    base: Colour
    chest: Colour
    ears: Mapping[int, Colour]  # by side, -1 and 1
    markings: Sequence[Marking]
    head: Pose
    body: Pose
    light: np.ndarray  # (3,), of length 1
    ambient: float


@dataclass(frozen=True)
class Form:
    """A rounded part of the dog in the picture."""

    cover: np.ndarray  # (height, width) in [0, 1]
    slope: np.ndarray  # (height, width, 2): how steeply it falls away to the right and down
    shade: np.ndarray  # (height, width), about 1 in full light


def sculpt(balls: Sequence[Ball], pose: Pose, dog: Dog, size: tuple[int, int]) -> Form:
    """Melt balls into one smooth relief and light it."""
    x, y = pose.grid(size)
    relief, inside = np.zeros_like(x), np.zeros_like(x)
    for *centre, across, down in balls:
        ball_x, ball_y, ball_z = pose.turn(centre)[0]
        bulge = np.maximum(1 - ((x - ball_x) / across) ** 2 - ((y - ball_y) / down) ** 2, -6)
        relief += np.exp((ball_z + 1.3 * across * bulge) / SOFTNESS)
        inside += np.exp(bulge / SOFTNESS)
    down, right = np.gradient(SOFTNESS * np.log(relief + 1e-6), 1 / pose.unit)
    facing = (dog.light[2] - right * dog.light[0] - down * dog.light[1]) / np.sqrt(1 + right**2 + down**2)
    shade = dog.ambient + 1.15 * (1 - dog.ambient) * np.clip(facing, 0, 1)
    cover = np.clip(SOFTNESS * np.log(inside) * pose.unit * 0.4 + 0.5, 0, 1)
    return Form(cover, -np.stack([right, down], axis=2), shade)


def dye(rng: np.random.Generator, dog: Dog, form: Form, pose: Pose, markings: Sequence[Marking]) -> np.ndarray:
    """Give the lit colours of a form's coat, float (height, width, 3)."""
    size = form.cover.shape[::-1]
    x, y = pose.grid(size)
    wobble = 0.16 * smooth_noise(rng, size, 12)
    pixels = np.asarray(dog.base) * (1 + 0.04 * smooth_noise(rng, size, 9))[..., None]
    for colour, centre, radius in markings:
        mark_x, mark_y, _ = pose.turn(centre)[0]
        share = np.clip(1.6 - 1.6 * np.hypot(x - mark_x, y - mark_y) / radius + wobble, 0, 1)
        pixels = mix(pixels, colour, share[..., None])
    return pixels * form.shade[..., None] ** (1.04, 1.0, 0.96)  # shadows are a little bluer


def draw_coat(
    canvas: Canvas,
    rng: np.random.Generator,
    coat: Coat,
    unit: float,
    form: Form,
    pixels: np.ndarray,
    origin: np.ndarray,
) -> None:
    """Paint a form and cover it with hair that grows away from ``origin``, a place (2,) in the picture."""
    canvas.image.paste(enlarged(pixels), mask=enlarged(form.cover * 255))
    fluff = min(1.0, coat.hair / 0.3)
    rows, columns = np.nonzero((form.cover > 0.5) & (rng.random(form.cover.shape) < HAIRS_PER_PIXEL))
    inwards = np.argsort(-np.hypot(columns - origin[0], rows - origin[1]), kind="stable")
    rows, columns = rows[inwards], columns[inwards]  # hair lies over the hair that grows further out
    away = np.stack([columns, rows], axis=1) - origin
    distance = np.linalg.norm(away, axis=1, keepdims=True)
    steepness = np.linalg.norm(form.slope[rows, columns], axis=1, keepdims=True)
    sideways, upways, tint = (smooth_noise(rng, canvas.size, 20)[rows, columns] for _ in range(3))  # locks of hair
    directions = away / (distance + 1) + 0.5 * form.slope[rows, columns] / (1 + steepness) + (0, 0.35)
    directions += coat.tousle * (1.6 * np.stack([sideways, upways], axis=1) + rng.normal(0, 0.6, away.shape))
    lengths = coat.hair * unit * np.clip(0.3 + 0.7 * distance / unit, 0, 1)  # short on the face
    lengths *= 1 - (1 - fluff) * 0.8 * steepness / (1 + steepness)  # flat hair is seen end on at the rim
    lengths *= rng.uniform(0.5, 1.2, lengths.shape)
    lightness = 1 + 0.09 * fluff * tint + (0.03 + 0.06 * fluff) * rng.standard_normal(len(rows))
    roots = away + origin + rng.uniform(0, 1, away.shape)
    canvas.comb(roots, directions, lengths, pixels[rows, columns] * lightness[:, None])


def draw_body(canvas: Canvas, rng: np.random.Generator, dog: Dog) -> None:
    """Draw neck, chest and shoulders, in the shadow of the head."""
    neck = dog.breed.neck
    balls: list[Ball] = [
        (0, 0.55, -0.3, neck * 0.85, 0.9),
        (0, 1.35, -0.35, neck, 1.0),
        (0, 2.6, -0.3, neck + 0.25, 1.4),
    ]
    balls += [(side * 0.65 * neck, 2.5, -0.6, neck * 0.7 + 0.1, 1.3) for side in (-1, 1)]
    form = sculpt(balls, dog.body, dog, canvas.size)
    x, y = dog.head.grid(canvas.size)
    shadow = np.clip(1.7 - np.hypot(x + 0.3 * dog.light[0], y - 0.5), 0, 1)
    form = replace(form, shade=form.shade * (1 - 0.32 * shadow))
    pixels = dye(rng, dog, form, dog.body, [(dog.chest, (0, 1.7, 0), 0.8), (dog.chest, (0, 2.5, 0), 0.8)])
    draw_coat(canvas, rng, dog.breed.coat, dog.body.unit, form, pixels, dog.head.project((0, 0.2, 0.5))[0])


def draw_head(canvas: Canvas, rng: np.random.Generator, dog: Dog) -> None:
    """Draw skull, cheeks and muzzle."""
    head = dog.breed.head
    balls: list[Ball] = [(0, -0.1, 0, 0.88, head.skull), (0, 0.32, 0.1, head.jaw, 0.52)]
    balls += [(side * 0.44, 0.24, 0.12, head.cheeks, head.cheeks) for side in (-1, 1)]
    for share in np.linspace(0, 1, 6):
        radius = head.muzzle_width * (1.1 - 0.22 * share)
        balls.append((0, 0.24 + head.muzzle_drop * share, 0.5 + (0.35 + head.muzzle) * share, radius, radius * 0.86))
    form = sculpt(balls, dog.head, dog, canvas.size)
    pixels = dye(rng, dog, form, dog.head, dog.markings)
    draw_coat(canvas, rng, dog.breed.coat, dog.head.unit, form, pixels, dog.head.project((0, 0.15, 0.9))[0])


def ear_outline(ear: Ear, side: int, lean: float) -> np.ndarray:
    """Give the outline (28, 3) of an ear on the head, from its inner root over the tip to the outer root."""
    along = np.linspace(0, 1, 14)[:, None]
    angle = math.radians(lean)
    hangs = max(0.0, -math.cos(angle))
    axis = np.array([side * math.sin(angle), -math.cos(angle), 0])
    across = np.array([side * math.cos(angle), math.sin(angle), -0.4 * (1 - hangs)])
    root = np.array([side * ear.spread, -ear.lift, 0.3 * hangs]) - 0.2 * axis * (1 - hangs)  # rooted below the hair
    spine = root + axis * along * ear.length + np.array([side * 0.1 * hangs, 0, 0]) * np.sin(np.pi * along)
    breadth = ear.width / 2 * np.sin(np.pi / 2 * (1 - along**ear.roundness))
    return np.concatenate([spine - across * breadth, (spine + across * breadth)[::-1]])


def draw_flap(canvas: Canvas, rng: np.random.Generator, dog: Dog, outline: np.ndarray, colour: Colour) -> None:
    """Draw an ear, or its inside, within an outline (n, 2) that starts and ends at its root."""
    mask = Canvas(np.zeros((canvas.size[1], canvas.size[0], 3)))
    mask.fill(outline, (255, 255, 255))
    cover = np.asarray(mask.image.resize(canvas.size, Image.Resampling.BOX), dtype=np.float32)[..., 0] / 255
    form = Form(cover, np.zeros((*cover.shape, 2)), np.ones_like(cover))
    pixels = np.broadcast_to(colour, (*cover.shape, 3))
    coat = replace(dog.breed.coat, hair=dog.breed.coat.hair * 0.6, tousle=0.2)
    draw_coat(canvas, rng, coat, dog.head.unit, form, pixels, outline[[0, -1]].mean(axis=0))


def draw_ears(canvas: Canvas, rng: np.random.Generator, dog: Dog) -> None:
    """Draw both ears, each at an angle of its own; standing ones show their inside."""
    ear = dog.breed.ear
    for side in (-1, 1):
        lean = ear.lean + rng.normal(0, 12)
        light = dog.ambient + (1 - dog.ambient) * (0.75 + 0.3 * side * dog.light[0])
        outline = dog.head.project(ear_outline(ear, side, lean))
        draw_flap(canvas, rng, dog, outline, np.multiply(dog.ears[side], light))
        if lean < 90:
            inside = replace(ear, width=ear.width * 0.6, length=ear.length * 0.78)
            skin = mix(EAR_SKIN, dog.ears[side], 0.3) * light * 0.8
            draw_flap(canvas, rng, dog, dog.head.project(ear_outline(inside, side, lean)), skin)


def draw_spot(
    canvas: Canvas, pose: Pose, centre: Sequence[float], radii: tuple[float, float], colour: Colour, tilt: float = 0
) -> None:
    """Fill an ellipse that lies on the turned head."""
    flat = np.pad(oval((0, 0), *radii, tilt), ((0, 0), (0, 1)))
    canvas.fill(pose.project(flat + np.asarray(centre)), colour)


def draw_face(canvas: Canvas, rng: np.random.Generator, dog: Dog) -> None:
    """Draw eyes, mouth and nose."""
    head, spot = dog.breed.head, partial(draw_spot, canvas, dog.head)
    brightness = dog.ambient + (1 - dog.ambient) * 0.8
    iris = mix((60, 38, 24), (124, 80, 38), rng.uniform(0, 1)) * brightness
    for side in (-1, 1):
        x, y, size = side * head.eye_gap, -0.06, head.eye
        spot((x, y, 0.72), (size * 1.3, size * 1.05), mix(NOSE, dog.base, 0.15) * brightness, side * -0.25)
        spot((x, y, 0.74), (size, size * 0.92), iris)
        spot((x, y, 0.75), (size * 0.62, size * 0.66), PUPIL)
        spot((x + size * 0.3 * dog.light[0], y - size * 0.38, 0.78), (size * 0.26, size * 0.26), GLINT)
    front, top = 0.88 + head.muzzle + head.muzzle_width * 0.5, 0.14 + head.muzzle_drop
    draw_mouth(canvas, rng, dog, front, top)
    nose = head.muzzle_width * 0.44
    skin = mix(NOSE, PINK_NOSE, rng.choice([0, 0, 0.3, 0.7])) * brightness
    spot((0, top, front), (nose, nose * 0.64), skin)
    spot((0, top + nose * 0.35, front), (nose * 0.6, nose * 0.6), skin)
    for side in (-1, 1):
        spot((side * nose * 0.45, top + nose * 0.22, front), (nose * 0.2, nose * 0.16), skin * 0.4)
    spot((0.2 * nose * dog.light[0], top - nose * 0.32, front), (nose * 0.45, nose * 0.15), skin + 75)


def draw_mouth(canvas: Canvas, rng: np.random.Generator, dog: Dog, front: float, nose: float) -> None:
    """Draw the lips below the nose, now and then open with the tongue out."""
    pose, width = dog.head, dog.breed.head.muzzle_width
    smiles, opens = rng.random() < dog.breed.chances["smile"], rng.random() < 0.3
    reach, rise = (1.0, 0.16) if smiles else (0.74, -0.03)
    lip = nose + width * 0.68
    steps = np.linspace(-1, 1, 17)
    bow = lip + width * (0.2 * np.abs(np.sin(np.pi * steps)) - 0.1) - rise * np.abs(steps) ** 3
    lips = np.stack([steps * width * reach, bow, front - 0.45 * np.abs(steps) ** 1.5], axis=1)
    if opens:
        depth = width * rng.uniform(0.5, 0.9)
        jaw = lips + np.outer(1 - steps**2, (0, depth, 0))
        canvas.fill(pose.project(np.concatenate([lips, jaw[::-1]])), MOUTH)
        draw_spot(canvas, pose, (0, lip + 0.5 * depth, front), (width * 0.36, 0.5 * depth), TONGUE)
    colour, thickness = mix(NOSE, dog.base, 0.1), pose.unit * (0.045 if smiles else 0.028)
    canvas.trace(pose.project(lips), colour, thickness)
    canvas.trace(pose.project([(0, nose, front), (0, lip, front)]), colour, thickness)


def draw_beard(canvas: Canvas, rng: np.random.Generator, dog: Dog) -> None:
    """Hang tousled hair over the brows and round the mouth."""
    head, pose, hairs = dog.breed.head, dog.head, 90
    front, mouth = 0.8 + head.muzzle, 0.4 + head.muzzle_drop
    tufts = [(side * head.eye_gap, -0.31, 0.72, side * 0.9, 0.13) for side in (-1, 1)]
    tufts += [(side * 0.27, mouth, front, side * 0.7, 0.13) for side in (-1, 1)] + [(0, mouth + 0.16, front, 0, 0.16)]
    for x, y, z, sideways, spread in tufts:
        roots = pose.project(rng.normal((x, y, z), (spread, spread * 0.4, 0), (hairs, 3)))
        directions = rng.normal((sideways, 0.9), 0.35, (hairs, 2))
        colours = np.outer(rng.normal(0.5 + 0.5 * dog.ambient, 0.1, hairs), dog.base)
        canvas.comb(roots, directions, 0.2 * pose.unit * rng.uniform(0.5, 1.2, (hairs, 1)), colours)


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
