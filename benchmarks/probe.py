"""Logistic regression on the pooled features of pretrained networks: how well it tells the breeds apart, and how fast.

    python -m benchmarks.probe PHOTOS [NETWORK:PIXELS ...]

PHOTOS has one sub-folder a breed. The weights are the bundled ones, out of data/weights:
`dvc repro data/dvc.yaml` makes what is missing. In float32, in batches of 32. A quarter of the photos is held out, ten
times; near duplicates may fall on both sides.
"""

import argparse
import time
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ShuffleSplit, cross_val_score
from tqdm import tqdm

from benchmarks.photographs import read_photos
from stages.lib.backbones.build import build_backbone
from stages.lib.core import paths
from stages.lib.images.photos import to_square
from stages.lib.networks.classifiers import pool

ASKED = (
    "VGG16:128",
    "EfficientNetLite0:128",
    "EfficientNetLite0:160",
    "EfficientNetLite0:224",
    "EfficientNetLite1:240",
    "EfficientNetLite2:260",
    "EfficientNetLite2:300",
)
BATCH_SIZE = 32
SPLITS, HELD_OUT = 10, 0.25


def pooled_features(name: str, side: int, photos: list[Image.Image]) -> tuple[np.ndarray, float]:
    """Features float32 (photos, channels), and photos a second of the fastest batch, reading and resizing aside."""
    backbone = build_backbone(name, side, paths.WEIGHTS / f"{name}-bundled.weights.h5")
    network = keras.Model(backbone.input, pool(backbone.output))
    features, rates = [], []
    for start in tqdm(range(0, len(photos), BATCH_SIZE), desc=f"{name}:{side}", mininterval=10):
        batch = np.stack([np.asarray(to_square(photo, side, "crop")) for photo in photos[start : start + BATCH_SIZE]])
        began = time.perf_counter()
        features.append(network.predict_on_batch(batch))
        rates.append(len(batch) / (time.perf_counter() - began))
    return np.concatenate(features), max(rates)


def held_out_accuracies(features: np.ndarray, breeds: list[str]) -> np.ndarray:
    """The accuracies, 0 to 1, on each of ten random quarters."""
    splits = ShuffleSplit(SPLITS, test_size=HELD_OUT, random_state=0)
    return cross_val_score(LogisticRegression(C=1, max_iter=2000), features, breeds, cv=splits)


def main() -> None:
    """Measure what is asked for; print each row as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.probe", description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder with one sub-folder a breed")
    parser.add_argument("asked", nargs="*", metavar="NETWORK:PIXELS", default=ASKED, help=" ".join(ASKED))
    arguments = parser.parse_args()
    by_breed = read_photos(arguments.photos)
    photos = [photo for of_breed in by_breed.values() for photo in of_breed]
    breeds = [breed for breed, of_breed in by_breed.items() for _ in of_breed]
    print(f"{len(photos)} photos of {len(by_breed)} breeds, float32")
    for asked in arguments.asked:
        name, _, side = asked.partition(":")
        features, rate = pooled_features(name, int(side), photos)
        accuracies = held_out_accuracies(features, breeds)
        print(f"{asked:22} accuracy {accuracies.mean():.3f} ± {accuracies.std():.3f}, {rate:.0f} photos/s", flush=True)


if __name__ == "__main__":
    main()
