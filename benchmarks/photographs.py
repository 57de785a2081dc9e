"""Folders of photos to measure on, made from a folder of one sub-folder a breed."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from stages.lib.images.photos import Refused, is_clutter, read_photo

MAX_PIXELS = 100_000_000
BLOCK = 16  # pixels a side of what tells copies apart: a single pixel would not survive the resizing
DRAWN_SIDE = 96  # pixels


def read_photos(folder: Path) -> dict[str, list[Image.Image]]:
    """The photos below each sub-folder of ``folder``, in order, as the pipeline reads them; others are left out."""
    photos = defaultdict(list)
    files = [file for file in sorted(folder.glob("*/**/*")) if file.is_file() and not is_clutter(file.name)]
    for file in tqdm(files, desc="read", unit="photo", mininterval=1):
        try:
            photos[file.relative_to(folder).parts[0]].append(read_photo(file, MAX_PIXELS))
        except Refused:
            continue
    if not photos:
        raise SystemExit(f"There is no photo in the sub-folders of {folder}; --photos wants one sub-folder a breed.")
    return photos


def write_copies(photos: dict[str, list[Image.Image]], target: Path, times: int) -> None:
    """Write every photo ``times`` times below ``target``, each but the first with a block of another colour.

    The copies are near duplicates of one another, so `prepare` keeps them on one side of the split.
    """
    for breed, images in photos.items():
        (target / breed).mkdir(parents=True)
        for number, image in enumerate(images):
            pixels = np.array(image)
            for copy in range(times):
                if copy:
                    pixels[:BLOCK, :BLOCK] = np.random.default_rng(copy).integers(0, 256, 3)
                Image.fromarray(pixels).save(target / breed / f"{number:05}.{copy:02}.png", compress_level=1)


def write_splits(photos: dict[str, list[Image.Image]], target: Path, shares: dict[str, float], seed: int) -> None:
    """Write the photos below ``target``: of each breed, ``shares`` in folders such as test, the rest in train."""
    generator = np.random.default_rng(seed)
    for breed, images in photos.items():
        ends = np.cumsum([0, *(round(share * len(images)) for share in shares.values())])
        order = generator.permutation(len(images))
        places = {split: order[start:end] for split, start, end in zip(shares, ends, ends[1:], strict=False)}
        for split, chosen in {**places, "train": order[ends[-1] :]}.items():
            (target / split / breed).mkdir(parents=True)
            for number in chosen:
                images[number].save(target / split / breed / f"{number:05}.jpg", quality=95)


def draw_photo(breed: int, number: int) -> Image.Image:
    """A photo-like picture of `DRAWN_SIDE` pixels a side: shapes of its own, in its breed's colour and grain.

    The shapes are what a perceptual hash looks at, so no two are near duplicates; the colour and the grain are what a
    network can tell breeds by, if not always.
    """
    of_breed, of_photo = np.random.default_rng([0, breed]), np.random.default_rng([1, breed, number])
    colour = of_breed.uniform(70, 180, 3) + of_photo.normal(0, 12, 3)
    cells, strength = of_breed.integers(12, DRAWN_SIDE), of_breed.uniform(5, 30)
    picture = np.zeros((DRAWN_SIDE, DRAWN_SIDE))
    for grid, contrast in ((3, 30), (5, 30), (8, 30), (cells, strength)):
        shapes = Image.fromarray(of_photo.normal(0, contrast, (grid, grid)).astype(np.float32))
        picture += np.asarray(shapes.resize(picture.shape, Image.Resampling.BICUBIC))
    return Image.fromarray((colour + picture[..., None]).clip(0, 255).astype(np.uint8))


def write_drawn(breeds: list[str], target: Path, photos: int) -> None:
    """Draw ``photos`` pictures of each of ``breeds`` below ``target``, the same each time."""
    for place, breed in enumerate(breeds):
        (target / breed).mkdir(parents=True)
        for number in range(photos):
            draw_photo(place, number).save(target / breed / f"{number:05}.jpg", quality=90)
