"""Draw pictures without a dog, to see whether models notice that there is none of the breeds that they know.

Reads   nothing
Makes   data/sample_unknown/scene_<number>.jpg: 60 scenes like those behind the dogs of data/sample, and things in them;
        a picture depends on `SEED` and its number alone
Alone   python -m stages.sources.sample_unknown
Cost    1 s
"""

from pathlib import Path

import numpy as np
from PIL import Image

from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.lib.core.outputs import whole_folder
from stages.lib.core.parallel import in_parallel
from stages.sources.scenery import FOREGROUNDS, LONGEST_SIDE, SHORTEST_SIDE, draw_background, draw_thing, photograph

SEED = 12  # another one than the dogs have, so that no scene is the background of one
PICTURES = 60
MOST_THINGS = 3
JPEG_QUALITY = 92


def draw_scene(number: int) -> Image.Image:
    """Draw picture ``number``: RGB, sides of 192 to 256 pixels."""
    rng = np.random.default_rng([SEED, number])
    size = tuple(rng.integers(SHORTEST_SIDE, LONGEST_SIDE + 1, 2).tolist())
    canvas = draw_background(rng, size)
    things = list(FOREGROUNDS)
    for thing in rng.integers(0, len(things), rng.integers(1, MOST_THINGS + 1)):
        draw_thing(canvas, rng, things[thing])
    return photograph(canvas, rng)


def draw_scenes(folder: Path, pictures: int) -> None:
    """Draw the first ``pictures`` scenes into ``folder``."""

    def save(number: int) -> None:
        draw_scene(number).save(folder / f"scene_{number:03}.jpg", quality=JPEG_QUALITY)

    in_parallel(save, range(pictures), what="drawing", unit="picture")


def main() -> None:
    """Draw all of them."""
    with whole_folder(paths.UNKNOWN_SAMPLE) as folder:
        draw_scenes(folder, PICTURES)
    print(f"{PICTURES} pictures without a dog in {paths.UNKNOWN_SAMPLE}")


if __name__ == "__main__":
    run(main)
