"""The rounded parts of a dog, as balls that melt into one another, lit, dyed and covered with hair."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.sources.breeds import Breed, Coat
from stages.sources.scenery import Canvas, Colour, enlarged, mix, rotate, smooth_noise

HAIRS_PER_PIXEL = 0.4
SOFTNESS = 0.12  # how far balls melt into one another, in head units

Ball = tuple[float, ...]  # x, y, z, radius across, radius down
Marking = tuple[Colour, tuple[float, float, float], float]  # colour, centre and radius of a patch of the coat


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
