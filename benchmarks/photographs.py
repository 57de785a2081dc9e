"""Folders of photos to measure on, made from a folder of one sub-folder a breed."""

import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from stages.lib.pictures import FORMATS, is_clutter


def list_photos(folder: Path) -> list[Path]:
    """The photos of ``folder``/<breed>, in order; what is not in a sub-folder is no photo."""
    photos = sorted(file for file in folder.glob("*/*") if file.is_file() and not is_clutter(file.name))
    if not photos:
        raise SystemExit(f"There is no photo in the sub-folders of {folder}; --photos wants one sub-folder a breed.")
    return photos


def multiply(photos: Path, target: Path, times: int) -> None:
    """Write every photo of ``photos`` ``times`` times below ``target``, as PNG; each copy has another first pixel.

    The copies are near duplicates of one another, so `prepare` keeps them on one side of the split.
    """
    for photo in list_photos(photos):
        folder = target / photo.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        with Image.open(photo, formats=FORMATS) as image:
            pixels = np.array(image.convert("RGB"))
        for copy in range(times):
            pixels[0, 0, 0] = copy
            Image.fromarray(pixels).save(folder / f"{photo.stem}.{copy}.png", compress_level=1)


def split_for_keras(photos: Path, target: Path, test: float, seed: int) -> None:
    """Copy ``photos`` to ``target``/train and ``target``/test, a share of ``test`` of each breed aside."""
    generator = np.random.default_rng(seed)
    for breed in sorted({photo.parent for photo in list_photos(photos)}):
        files = [photo for photo in list_photos(photos) if photo.parent == breed]
        tested = set(generator.permutation(len(files))[: round(test * len(files))].tolist())
        for index, file in enumerate(files):
            folder = target / ("test" if index in tested else "train") / breed.name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, folder / file.name)
