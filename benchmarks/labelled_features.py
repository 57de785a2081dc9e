"""Pooled features of a folder of photos with their breeds, near duplicates and splits, kept in a file once made."""

import argparse
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from tqdm import tqdm

from benchmarks.photographs import MAX_PIXELS
from stages.lib.backbones.build import build_backbone
from stages.lib.core import paths
from stages.lib.core.encoding import encode
from stages.lib.core.params import Params
from stages.lib.images.duplicates import group_labels, near_pairs, perceptual_hashes
from stages.lib.images.folders import find_photos
from stages.lib.images.photos import read_photo, to_square
from stages.lib.images.splitting import assign_splits
from stages.lib.networks.classifiers import pool

NETWORK = "EfficientNetLite2"
SIDE = 260  # pixels
BATCH_SIZE = 32


class Photos(NamedTuple):
    """Photos of several breeds, with labels that are taken for right."""

    features: np.ndarray  # float32 (photos, channels)
    labels: np.ndarray  # int (photos,), places in `breeds`
    groups: np.ndarray  # int (photos,), equal for near duplicates
    files: list[str]  # which stand for content where a split needs it
    breeds: list[str]

    def splits(self, params: Params, seed: int) -> np.ndarray:
        """ "train", "val" or "test" of each photo, as `prepare` has it."""
        named = [self.breeds[label] for label in self.labels]
        return np.array(assign_splits(named, self.groups, self.files, params.split.test, params.split.val, seed))


def options(benchmark: str, text: str) -> argparse.ArgumentParser:
    """What `read` needs to be told on the command line of a benchmark that ``text`` describes."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{benchmark}", description=text.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder with one sub-folder a breed")
    parser.add_argument("--breeds", type=int, help="how many of them, drawn once; all if not given")
    parser.add_argument("--features", type=Path, help="folder to keep the network's features in")
    return parser


def choose_breeds(breeds: list[str], count: int | None) -> list[str]:
    """``count`` of ``breeds``, the same ones each time; all of them for None."""
    if count is None:
        return breeds
    return sorted(np.random.default_rng(1).choice(sorted(breeds), count, replace=False).tolist())


def compute(source: Path, count: int | None, distance: int) -> Photos:
    """Run the network over the photos of ``count`` breeds in ``source``."""
    found = find_photos(source)
    breeds = choose_breeds(list(found), count)
    files = [file for breed in breeds for file in found[breed]]
    backbone = build_backbone(NETWORK, SIDE, paths.WEIGHTS / f"{NETWORK}-bundled.weights.h5")
    network = keras.Model(backbone.input, pool(backbone.output))
    features, hashes = [], []
    for start in tqdm(range(0, len(files), BATCH_SIZE), mininterval=10):
        photos = [read_photo(source / file, MAX_PIXELS) for file in files[start : start + BATCH_SIZE]]
        hashes += [perceptual_hashes(photo) for photo in photos]
        features.append(
            network.predict_on_batch(np.stack([np.asarray(to_square(each, SIDE, "crop")) for each in photos]))
        )
    plain, mirrored = np.array(hashes, np.uint64).T
    groups = group_labels(len(files), near_pairs(plain, mirrored, distance))
    labels = encode([file.split("/")[0] for file in files], breeds)
    return Photos(np.concatenate(features), labels, groups, files, breeds)


def read(source: Path, count: int | None, distance: int, cache: Path | None) -> Photos:
    """What `compute` gives, from ``cache`` (a folder) where it stands there; it is written there, if one is named."""
    file = None if cache is None else cache / f"{source.name}-{count or 'all'}.npz"
    if file is not None and file.exists():
        with np.load(file) as kept:
            return Photos(
                kept["features"], kept["labels"], kept["groups"], kept["files"].tolist(), kept["breeds"].tolist()
            )
    photos = compute(source, count, distance)
    if file is not None:
        np.savez(file, **photos._asdict())
    return photos
