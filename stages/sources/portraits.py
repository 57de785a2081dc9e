"""The parts of a dog's portrait: body, head, ears, face and beard."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

from stages.sources.breeds import Ear
from stages.sources.coats import Ball, Dog, Form, Pose, draw_coat, dye, sculpt
from stages.sources.scenery import Canvas, Colour, mix, oval

NOSE, PINK_NOSE, MOUTH, TONGUE, EAR_SKIN = (40, 35, 36), (130, 92, 86), (62, 26, 30), (224, 126, 132), (196, 138, 126)
PUPIL, GLINT = (18, 14, 16), (250, 250, 250)


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
