"""What drawn pictures are made of: colours and shapes, scenes out of focus, things in the way, a camera's faults."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SHORTEST_SIDE, LONGEST_SIDE = 192, 256
SUPERSAMPLING = 2  # drawn twice as large and shrunk, which smooths every edge
COLOURS = {
    "white": (240, 238, 234),
    "cream": (236, 221, 194),
    "silver": (186, 183, 178),
    "sand": (220, 188, 142),
    "wheaten": (204, 168, 118),
    "fawn": (208, 160, 110),
    "ginger": (198, 126, 68),
    "chestnut": (148, 92, 58),
    "chocolate": (102, 70, 54),
    "grey": (134, 130, 126),
    "brindle": (126, 102, 78),
    "black": (62, 58, 58),
}
LEAF, SKIN = (94, 130, 62), (214, 166, 138)

Colour = Sequence[float] | np.ndarray
Shapes = Sequence[tuple[np.ndarray, Colour]]  # outlines (n, 2) in picture pixels and what to fill them with


def mix(first: Colour, second: Colour, share: float | np.ndarray) -> np.ndarray:
    """Blend two colours; a ``share`` of 1 is all the second."""
    return np.multiply(first, np.subtract(1, share)) + np.multiply(second, share)


def ink(colour: Colour) -> tuple[int, ...]:
    """Give a colour as Pillow wants it."""
    return tuple(np.clip(colour, 0, 255).astype(int).tolist())


def rotate(points: np.ndarray, angle: float) -> np.ndarray:
    """Rotate (n, 2) points clockwise, as y points down."""
    cosine, sine = math.cos(angle), math.sin(angle)
    return points @ np.array([[cosine, sine], [-sine, cosine]])


def oval(centre: Sequence[float] | np.ndarray, across: float, down: float, tilt: float = 0.0) -> np.ndarray:
    """Give the outline (24, 2) of an ellipse with these radii."""
    angles = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    return rotate(np.stack([across * np.cos(angles), down * np.sin(angles)], axis=1), tilt) + centre


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Give the outline (4, 2) of a rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def smooth_noise(rng: np.random.Generator, size: tuple[int, int], cells: int) -> np.ndarray:
    """Give about standard normal float32 (height, width) that change smoothly over ``cells`` a side."""
    coarse = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))


def enlarged(pixels: np.ndarray) -> Image.Image:
    """Turn (height, width, 3) or (height, width) in [0, 255] into an image `SUPERSAMPLING` times as large."""
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return image.resize((image.width * SUPERSAMPLING, image.height * SUPERSAMPLING), Image.Resampling.BILINEAR)


class Canvas:
    """An image that is drawn on in picture pixels and is `SUPERSAMPLING` times as large."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.size = pixels.shape[1], pixels.shape[0]
        self.image = enlarged(pixels)

    def fill(self, outline: np.ndarray, colour: Colour) -> None:
        """Fill an outline (n, 2); a fourth component of ``colour`` is its opacity."""
        ImageDraw.Draw(self.image, "RGBA").polygon((outline * SUPERSAMPLING).ravel().tolist(), ink(colour))

    def trace(self, path: np.ndarray, colour: Colour, width: float) -> None:
        """Draw a line along ``path`` (n, 2)."""
        line = (path * SUPERSAMPLING).ravel().tolist()
        ImageDraw.Draw(self.image).line(line, ink(colour), max(2, round(width * SUPERSAMPLING)), joint="curve")

    def comb(self, roots: np.ndarray, directions: np.ndarray, lengths: np.ndarray, colours: np.ndarray) -> None:
        """Draw a hair for each root in turn: (n, 2) roots and directions, (n, 1) lengths and (n, 3) colours."""
        directions = directions / (np.linalg.norm(directions, axis=1, keepdims=True) + 1e-6)
        tips = roots + lengths * (directions + np.array([0, 0.12]))  # they droop
        hairs = SUPERSAMPLING * np.concatenate([roots, roots + 0.55 * lengths * directions, tips], axis=1)
        draw = ImageDraw.Draw(self.image)
        for hair, colour in zip(hairs.tolist(), np.clip(colours, 0, 255).astype(int).tolist(), strict=True):
            draw.line(hair, tuple(colour), SUPERSAMPLING)


# Backgrounds: what is far, what is near, and what stands about.
SCENES = {
    "garden": ((128, 150, 104), (92, 128, 66), "foliage"),
    "hedge": ((70, 92, 60), (104, 130, 76), "foliage"),
    "autumn": ((170, 130, 80), (120, 96, 66), "foliage"),
    "sky": ((124, 166, 212), (206, 220, 230), "clouds"),
    "beach": ((176, 200, 214), (216, 194, 152), "clouds"),
    "snow": ((180, 196, 214), (232, 236, 242), "trunks"),
    "wood": ((132, 130, 104), (98, 82, 62), "trunks"),
    "room": ((208, 194, 174), (146, 112, 86), "furniture"),
    "blue room": ((136, 152, 172), (98, 92, 98), "furniture"),
    "street": ((164, 158, 154), (118, 118, 122), "furniture"),
    "dusk": ((84, 76, 104), (196, 134, 102), "lights"),
    "night": ((34, 38, 54), (66, 58, 62), "lights"),
    "studio": ((164, 104, 98), (104, 60, 62), "lights"),
}


def clutter(
    rng: np.random.Generator, kind: str, size: tuple[int, int], horizon: float, tones: list[np.ndarray]
) -> Shapes:
    """Give the half transparent things that stand about in a scene whose ground begins ``horizon`` pixels down."""
    width, height = size
    shapes = []
    for _ in range(rng.integers(10, 40) if kind == "foliage" else rng.integers(5, 16)):
        x, y, breadth = rng.uniform(0, width), rng.uniform(0, height), width * rng.uniform(0.03, 0.13)
        if kind == "trunks":
            shape = box(x, 0, x + 0.8 * breadth, horizon + breadth)
        elif kind == "furniture":
            foot = horizon + rng.uniform(-0.02, 0.12) * height if rng.random() < 0.6 else y * 0.6
            shape = box(x, foot - breadth * rng.uniform(0.6, 4), x + breadth * rng.uniform(1, 3), foot)
        elif kind == "clouds":
            shape = oval((x, y * 0.7), 2.2 * breadth, 0.6 * breadth)
        elif kind == "foliage":
            shape = oval((x, y), breadth, 0.5 * breadth, rng.uniform(0, 3))
        else:
            shape = oval((x, y), 0.8 * breadth, 0.8 * breadth)
        accent = mix(COLOURS[rng.choice(list(COLOURS))], rng.uniform(0, 255, 3), 0.3)
        tone = mix(tones[rng.integers(2)], accent, rng.uniform(0.1, 0.6)) * rng.uniform(0.75, 1.25)
        shapes.append((shape, (*tone, rng.uniform(70, 220))))
    return shapes


def draw_background(rng: np.random.Generator, size: tuple[int, int]) -> Canvas:
    """Draw a scene out of focus that says nothing about the breed; ``size`` is (width, height) of the picture."""
    far, near, kind = SCENES[rng.choice(list(SCENES))]
    tones = [np.array(tone) * rng.normal(1, 0.12) + rng.normal(0, 9, 3) for tone in (far, near)]
    horizon, softness = rng.uniform(0.35, 0.9), rng.uniform(0.02, 0.5)
    nearness = np.clip((np.linspace(0, 1, size[1])[:, None, None] - horizon) / softness + 0.5, 0, 1)
    texture: Any = sum(smooth_noise(rng, size, cells) * rng.uniform(20, 60) / cells for cells in (4, 9, 25))
    canvas = Canvas(mix(tones[0], tones[1], nearness) + texture[..., None])
    for shape, colour in clutter(rng, kind, size, horizon * size[1], tones):
        canvas.fill(shape, colour)
    canvas.image = canvas.image.filter(ImageFilter.GaussianBlur(size[0] * float(rng.choice([0.006, 0.016, 0.035]))))
    return canvas


def grass(rng: np.random.Generator, width: int, height: int) -> Shapes:
    """Give blades that grow from the lower edge."""
    shapes = []
    for foot in rng.uniform(0, width, 60):
        tip = foot + rng.normal(0, width * 0.1), height * rng.normal(0.68, 0.12)
        blade = np.array([(foot - 2.5, height), tip, (foot + 2.5, height)])
        shapes.append((blade, np.array(LEAF) * rng.uniform(0.6, 1.4)))
    return shapes


def fence(rng: np.random.Generator, width: int, height: int) -> Shapes:
    """Give upright bars, lit from the left."""
    gap, breadth = width * rng.uniform(0.24, 0.4), width * rng.uniform(0.02, 0.05)
    colour = rng.uniform(50, 190) + rng.normal(0, 15, 3)
    posts = np.arange(rng.uniform(0, gap), width, gap)
    shapes = [(box(x, 0, x + breadth, height), colour * 0.8) for x in posts]
    return shapes + [(box(x, 0, x + breadth * 0.5, height), colour) for x in posts]


def leaves(rng: np.random.Generator, width: int, height: int) -> Shapes:
    """Give a twig's leaves that reach in from one side."""
    side, top = rng.choice([-1, 1]), height * rng.uniform(0.3, 0.8)
    places = np.linspace((width * (0.5 + 0.6 * side), top), (width * (0.5 - 0.1 * side), top * 0.4), 12)
    shapes = []
    for place in places + rng.normal(0, width * 0.05, (12, 2)):
        size = width * rng.uniform(0.04, 0.08)
        shapes.append((oval(place, size, size * 0.42, rng.uniform(-1, 1)), np.array(LEAF) * rng.uniform(0.6, 1.3)))
    return shapes


def ball(rng: np.random.Generator, width: int, height: int) -> Shapes:
    """Give a ball, lit from the upper left."""
    centre = np.array([width * rng.uniform(0.25, 0.75), height * rng.uniform(0.68, 0.9)])
    radius, colour = width * rng.uniform(0.08, 0.14), rng.uniform(50, 210, 3)
    rings = np.linspace(1, 0.2, 9)
    return [(oval(centre - 0.35 * radius * (1 - r), radius * r, radius * r), colour * (1.3 - 0.5 * r)) for r in rings]


def hand(rng: np.random.Generator, width: int, height: int) -> Shapes:
    """Give a hand that reaches in from one side."""
    side, top, skin = rng.choice([-1, 1]), height * rng.uniform(0.5, 0.8), np.array(SKIN) * rng.uniform(0.4, 1.1)
    shapes = [(oval((width * (0.5 + 0.55 * side), top + width * 0.09), width * 0.2, width * 0.14), skin * 0.95)]
    for finger in range(4):
        knuckle = width * (0.5 + side * (0.3 + 0.03 * abs(finger - 1))), top + width * 0.055 * finger
        shapes.append((oval(knuckle, width * 0.14, width * 0.034), skin * 0.8))
        shapes.append((oval(np.subtract(knuckle, (0, 1)), width * 0.14, width * 0.03), skin))
    return shapes


FOREGROUNDS = {grass: 0.11, fence: 0.11, leaves: 0.12, ball: 0.09, hand: 0.09}  # with their chances


def draw_thing(canvas: Canvas, rng: np.random.Generator, thing: Callable[..., Shapes]) -> None:
    """Draw one of `FOREGROUNDS`."""
    for shape, colour in thing(rng, *canvas.size):
        canvas.fill(shape, colour)


def draw_foreground(canvas: Canvas, rng: np.random.Generator) -> None:
    """Put something before the dog in about every second picture."""
    chance = rng.random()
    for things, share in FOREGROUNDS.items():
        if 0 <= chance < share:
            draw_thing(canvas, rng, things)
        chance -= share


def photograph(canvas: Canvas, rng: np.random.Generator) -> Image.Image:
    """Shrink the canvas and take its picture: blur, uneven light, exposure, colour cast, contrast and grain."""
    width, height = canvas.size
    image = canvas.image.resize(canvas.size, Image.Resampling.BOX)
    blur = float(rng.choice([0, 0.5, 1.0, 2.0, 3.0], p=[0.54, 0.2, 0.14, 0.08, 0.04]))
    image = image.filter(ImageFilter.GaussianBlur(blur * rng.uniform(0.7, 1.2)))
    columns, rows = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    fall = 1 + rng.normal(0, 0.1) * columns + rng.normal(0, 0.1) * rows
    vignette = 1 - rng.uniform(0, 0.15) * (rows**2 + columns**2)
    exposure = 2 ** rng.normal(-0.12, 0.2) * rng.choice([1, 0.6], p=[0.93, 0.07])
    warmth = rng.normal(0, 0.05)
    cast = exposure * np.array([1 + warmth, 1 + rng.normal(0, 0.012), 1 - warmth])
    pixels = np.asarray(image, dtype=np.float32) / 255 * cast * (vignette * fall)[..., None]
    pixels = 0.45 + (pixels - 0.45) * rng.normal(1, 0.1)
    grain = rng.choice([0.005, 0.015, 0.045], p=[0.55, 0.33, 0.12]) * rng.standard_normal(pixels.shape)
    return Image.fromarray((np.clip(pixels + grain, 0, 1) * 255).astype(np.uint8))
