"""Random views of a photo: what it could have looked like, a step to the side or an hour later."""

import hashlib
import math

import numpy as np
from PIL import Image, ImageEnhance


def view_generator(seed: int, picture: bytes, copy: int) -> np.random.Generator:
    """A generator of random numbers that depends on the seed, the picture's bytes and the copy's number alone."""
    digest = hashlib.sha256(f"{seed}/{copy}/".encode() + picture).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def random_view(
    image: Image.Image,
    generator: np.random.Generator,
    rotation: float,
    zoom: float,
    flip: bool,
    brightness: float,
    contrast: float,
) -> Image.Image:
    """Turn, scale, mirror and light a square RGB picture anew; what falls outside of it is filled with its reflection.

    Args:
        image: square RGB picture.
        generator: where the randomness comes from.
        rotation: degrees; turned by up to that much either way.
        zoom: scaled by a factor between 1 - zoom and 1 + zoom.
        flip: mirror left and right with probability one half.
        brightness: multiplied by a factor between 1 - brightness and 1 + brightness.
        contrast: likewise, about the picture's mean grey.
    """
    angle = math.radians(generator.uniform(-rotation, rotation))
    scale = generator.uniform(1 - zoom, 1 + zoom)
    mirror = -1 if generator.random() < 0.5 and flip else 1
    light = generator.uniform(1 - brightness, 1 + brightness)
    spread = generator.uniform(1 - contrast, 1 + contrast)

    side = image.width
    # a turned and shrunk frame reaches this far beyond the picture
    margin = math.ceil(side * (math.sqrt(2) / (1 - zoom) - 1) / 2) + 1
    padded = Image.fromarray(np.pad(np.asarray(image), ((margin, margin), (margin, margin), (0, 0)), mode="symmetric"))
    cosine, sine = math.cos(angle) / scale, math.sin(angle) / scale
    centre, padded_centre = side / 2, side / 2 + margin
    # Pillow wants, for each pixel of the view, where in the picture it comes from: one resampling for all three
    matrix = (
        mirror * cosine, sine, padded_centre - centre * (mirror * cosine + sine),
        -mirror * sine, cosine, padded_centre - centre * (-mirror * sine + cosine),
    )  # fmt: skip
    view = padded.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return ImageEnhance.Contrast(ImageEnhance.Brightness(view).enhance(light)).enhance(spread)
