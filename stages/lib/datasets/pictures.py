"""Prepared pictures on disk: found, read, decoded; square, all of one size, photos as PNG and views as JPEG."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from stages.lib.core.arrays import write_rows
from stages.lib.core.parallel import WORKERS
from stages.lib.core.progress import Progress
from stages.lib.core.shrinking import shrink

FORMATS = {".png": "PNG", ".jpg": "JPEG"}
_DECODED_AT_ONCE = 256  # 13 MB at 128 px, and as much for the next ones


def find_pictures(*folders: Path) -> tuple[list[Path], list[str]]:
    """List the pictures below each of ``folders``, sorted, and the breed of each: the sub-folder that it is in."""
    files, breeds = [], []
    for folder in folders:
        pictures = (file for file in folder.rglob("*") if file.suffix in FORMATS and file.is_file())
        found = sorted(pictures, key=Path.as_posix)
        files += found
        breeds += [file.relative_to(folder).parts[0] for file in found]
    return files, breeds


def name_photos(files: list[Path], folder: Path) -> list[str]:
    """The names that the manifest has for the photos of prepared pictures in ``folder``, a split's."""
    return [file.relative_to(folder).with_suffix("").as_posix() for file in files]


def read_picture(file: Path, side: int | None = None) -> np.ndarray:
    """Read a prepared picture: uint8 (side, side, 3), in the size that it has or shrunk to ``side``."""
    with Image.open(file, formats=(FORMATS[file.suffix],)) as image:
        return np.asarray(image if side is None else shrink(image, side))


def picture_batches(files: list[Path], batch_size: int, side: int) -> Iterator[np.ndarray]:
    """Read prepared pictures in batches, in order, the next while one is worked on: uint8 (n, side, side, 3)."""
    with ThreadPoolExecutor(WORKERS) as pool:

        def read(start: int) -> list[Future[np.ndarray]]:
            return [pool.submit(read_picture, file, side) for file in files[start : start + batch_size]]

        coming = read(0)
        for start in range(0, len(files), batch_size):
            batch, coming = coming, read(start + batch_size)
            yield np.stack([picture.result() for picture in batch])


def decode_pictures(files: list[Path], target: Path, side: int) -> None:
    """Decode prepared pictures into the .npy file ``target``: uint8 (n, side, side, 3)."""
    with (
        write_rows(target, (len(files), side, side, 3), np.uint8) as append,
        Progress(desc="decode", total=len(files), unit="picture") as bar,
    ):
        for batch in picture_batches(files, _DECODED_AT_ONCE, side):
            append(batch)
            bar.update(len(batch))
