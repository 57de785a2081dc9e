"""Prepared pictures on disk: found, read, decoded; PNG, square, all of one size."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from stages.lib.core.arrays import write_rows
from stages.lib.core.parallel import WORKERS
from stages.lib.core.progress import Progress

_DECODED_AT_ONCE = 256  # 13 MB at 128 px


def find_pictures(*folders: Path) -> tuple[list[Path], list[str]]:
    """List the PNG files below each of ``folders``, sorted, and the breed of each: the sub-folder that it is in."""
    files, breeds = [], []
    for folder in folders:
        found = sorted((file for file in folder.rglob("*.png") if file.is_file()), key=Path.as_posix)
        files += found
        breeds += [file.relative_to(folder).parts[0] for file in found]
    return files, breeds


def name_photos(files: list[Path], folder: Path) -> list[str]:
    """The names that the manifest has for the photos of prepared pictures in ``folder``, a split's."""
    return [file.relative_to(folder).with_suffix("").as_posix() for file in files]


def read_picture(file: Path) -> np.ndarray:
    """Read a prepared PNG picture: uint8 (side, side, 3)."""
    with Image.open(file, formats=("PNG",)) as image:
        return np.asarray(image)


def decode_pictures(files: list[Path], target: Path) -> None:
    """Decode prepared PNG pictures of one size into the .npy file ``target``: uint8 (n, side, side, 3)."""
    with (
        write_rows(target, (len(files), *read_picture(files[0]).shape), np.uint8) as append,
        ThreadPoolExecutor(WORKERS) as pool,
        Progress(desc="decode", total=len(files), unit="picture") as bar,
    ):
        for start in range(0, len(files), _DECODED_AT_ONCE):
            pictures = list(pool.map(read_picture, files[start : start + _DECODED_AT_ONCE]))
            append(np.stack(pictures))
            bar.update(len(pictures))
