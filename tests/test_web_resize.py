"""The page's resizing, in JavaScript, makes the very pixels that Pillow's does. Skipped where there is no Node."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.lib.core.shrinking import shrink
from stages.lib.images.photos import PADDING, read_photo, to_square
from stages.lib.web.folder import PAGE

PREPARED, SIDE = 48, 32  # pixels
DOGS = os.environ.get("DOG_PHOTOGRAPHS")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node here")
ASK = """
import { readFileSync, writeFileSync } from "node:fs";
import { pictureOf, prepare } from "./resize.mjs";
for (const { file, width, height, about } of JSON.parse(readFileSync("photos.json"))) {
  const picture = pictureOf(new Uint8ClampedArray(readFileSync(file)), width, height);
  writeFileSync(`${file}.out`, prepare(picture, about).bytes);
}
"""


def resize_in_javascript(images: list[Image.Image], how: str, prepared: int, side: int, folder: Path) -> np.ndarray:
    """What resize.js makes of RGB pictures: uint8 (n, side, side, 3)."""
    asked = []
    for number, image in enumerate(images):
        (folder / f"{number}").write_bytes(image.convert("RGBA").tobytes())
        about = {"resize": how, "prepared_size": prepared, "side": side}
        asked.append({"file": f"{number}", "width": image.width, "height": image.height, "about": about})
    (folder / "photos.json").write_text(json.dumps(asked))
    shutil.copyfile(PAGE / "resize.js", folder / "resize.mjs")
    (folder / "ask.mjs").write_text(ASK)
    subprocess.run(["node", "ask.mjs"], cwd=folder, check=True, timeout=600)
    made = [np.frombuffer((folder / f"{number}.out").read_bytes(), np.uint8) for number in range(len(images))]
    return np.stack(made).reshape(-1, side, side, 4)[..., :3]


@needs_node
@pytest.mark.parametrize("how", ["crop", "pad", "squash"])
def test_a_photo_of_any_shape_becomes_the_same_pixels_as_by_pillow(tmp_path, how):
    """Noise, on which a weight that is off by the least would show; larger and smaller than what is made of it."""
    sizes = [(48, 48), (32, 32), (97, 61), (301, 400), (33, 20), (1, 1), (300, 2), (49, 48), (700, 300), (60, 72)]
    sizes += [(61, 98), (60, 73), (7, 90), (10, 200), (200, 1000), (2, 300)]  # of these Pillow 13 begins with the rows
    noise = np.random.default_rng(0)
    images = [Image.fromarray(noise.integers(0, 256, (h, w, 3), np.uint8)) for w, h in sizes]
    expected = [np.asarray(shrink(to_square(image, PREPARED, how), SIDE)) for image in images]
    np.testing.assert_array_equal(resize_in_javascript(images, how, PREPARED, SIDE, tmp_path), expected)


@needs_node
def test_a_photo_too_thin_to_be_padded_is_padding_alone(tmp_path):
    (made,) = resize_in_javascript([Image.new("RGB", (1, 300), "red")], "pad", PREPARED, PREPARED, tmp_path)
    assert {tuple(pixel) for pixel in made.reshape(-1, 3).tolist()} == {PADDING}


@needs_node
@pytest.mark.slow
@pytest.mark.skipif(not DOGS, reason="DOG_PHOTOGRAPHS names no folder of photographs")
@pytest.mark.parametrize("how", ["crop", "pad"])
def test_photographs_become_the_same_pixels_as_by_pillow(tmp_path, how):
    files = sorted(path for path in Path(str(DOGS)).glob("*/*") if path.suffix.lower() in (".jpg", ".jpeg"))[::10]
    assert files
    images = [read_photo(file, 100_000_000) for file in files]
    expected = [np.asarray(shrink(to_square(image, 260, how), 224)) for image in images]
    np.testing.assert_array_equal(resize_in_javascript(images, how, 260, 224, tmp_path), expected)
