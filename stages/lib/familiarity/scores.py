"""How familiar a photo is to a model: its features beside those of the training photos.

Features are what a network gives below its head, pooled over the picture. They are compared by their direction alone,
the cosine, as their length tells more of a photo's contrast than of what it shows. Distance to the nearest training
photos: Sun et al., Out-of-distribution detection with deep nearest neighbors (ICML 2022), who take the k-th, where the
mean over the k nearest is taken here. docs/unknown.md has what else was tried, and how it did.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

NEAREST = 5  # training photos that a photo is compared to
MAX_BYTES = 20_000_000  # of a bank
_BLOCK = 256  # photos compared at a time, which bounds the memory: 4 MB an array with a bank of 20 MB


class Nearest(NamedTuple):
    """The training photos most like each of n photos, the most like first."""

    cosines: np.ndarray  # float32 (n, k) in [-1, 1]
    places: np.ndarray  # int (n, k), rows of the bank


def normalise(features: np.ndarray) -> np.ndarray:
    """Give each row of ``features`` (n, channels) the length 1, in float32; a row of zeros stays as it is.

    Raises `ValueError` where a number is not finite: it would be as near to everything as to nothing.
    """
    if not np.isfinite(features).all():
        raise ValueError("features must be finite. Received: some that are not")
    features = features.astype(np.float32)
    # by the largest first, as the squares of very large or small numbers are beyond float32
    largest = np.abs(features).max(axis=1, keepdims=True, initial=0)
    features /= np.where(largest > 0, largest, 1)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1)


def _most_alike(to_all: np.ndarray, k: int) -> Nearest:
    """The ``k`` highest of cosines (n, training photos); of equal ones, the first in the bank comes first."""
    places = np.sort(np.argpartition(-to_all, k - 1, axis=1)[:, :k], axis=1)
    cosines = np.take_along_axis(to_all, places, axis=1)
    order = np.argsort(-cosines, axis=1, kind="stable")
    return Nearest(np.take_along_axis(cosines, order, axis=1), np.take_along_axis(places, order, axis=1))


def find_nearest(bank: np.ndarray, features: np.ndarray, k: int = NEAREST) -> Nearest:
    """Find the ``k`` training photos whose features point most nearly where a photo's do.

    Args:
        bank: float32 (training photos, channels), as `normalise` gives them.
        features: float32 (n, channels), of the photos asked about, of any length; an array, or rows on disk.
        k: how many; all of them where the bank has fewer.

    Raises:
        ValueError: where the bank is empty, where ``k`` is less than 1, and where a feature is not finite.
    """
    if not len(bank) or k < 1:
        raise ValueError(f"bank must have a photo, and k must be 1 or more. Received: {len(bank)} photos, k = {k}")
    k = min(k, len(bank))
    found = [Nearest(np.empty((0, k), np.float32), np.empty((0, k), np.intp))]
    for start in range(0, len(features), _BLOCK):
        found.append(_most_alike(normalise(features[start : start + _BLOCK]) @ bank.T, k))
    cosines, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Nearest(np.clip(cosines, -1, 1), places)


def nearest_cosine(bank: np.ndarray, features: np.ndarray, k: int = NEAREST) -> np.ndarray:
    """Mean cosine to the ``k`` nearest training photos: float32 (n,) in [-1, 1], higher is more familiar.

    Takes and raises what `find_nearest` does.
    """
    return find_nearest(bank, features, k).cosines.mean(axis=1)


def leave_one_out_cosine(bank: np.ndarray, groups: np.ndarray, k: int = NEAREST) -> np.ndarray:
    """How familiar each photo of the bank would be, had it and its near duplicates not been there.

    So the training photos, too, tell what is usual of known photos, which are many more than val's. Not of a network
    that was trained on them.

    Args:
        bank: float32 (training photos, channels), as `normalise` gives them.
        groups: int (training photos,), equal for near duplicates.
        k: how many of the nearest count; as many as there are where there are fewer.

    Returns:
        float32 (training photos,) in [-1, 1], as `nearest_cosine`.

    Raises:
        ValueError: where all photos are near duplicates, or there are none.
    """
    k = min(k, len(bank) - int(np.unique(groups, return_counts=True)[1].max(initial=0)))
    if k < 1:
        raise ValueError(f"bank must have two photos that are no near duplicates. Received: {len(bank)}")
    scores = []
    for start in range(0, len(bank), _BLOCK):
        block = slice(start, start + _BLOCK)
        to_all = bank[block] @ bank.T
        to_all[groups[block, None] == groups] = -np.inf
        scores.append(_most_alike(to_all, k).cosines.mean(axis=1))
    return np.clip(np.concatenate(scores), -1, 1)


def thin_bank(
    breeds: list[str], channels: int, seed: int, max_bytes: int = MAX_BYTES, bytes_each: int = 4
) -> np.ndarray:
    """Choose the training photos that a bank of at most ``max_bytes`` keeps.

    Breeds with many photos give theirs up first, by chance, so that a breed of few keeps them all.

    Args:
        breeds: of each training photo.
        channels: of its features.
        seed: of the choice.
        max_bytes: of the bank.
        bytes_each: of a number in it: 4 for float32, 2 for float16.

    Returns:
        int (photos kept,), their places in ascending order; all places where they fit.

    Raises:
        ValueError: where ``max_bytes`` has no room for a photo of each breed.
    """
    room, needed = max_bytes // (channels * bytes_each), len({*breeds})
    if room < needed:
        raise ValueError(f"max_bytes must have room for a photo of {needed} breeds. Received: {max_bytes}")
    shuffled = np.random.default_rng(seed).permutation(len(breeds))
    of_breed = pd.Series(shuffled).groupby(np.array(breeds)[shuffled])
    turns = of_breed.cumcount().to_numpy()  # each breed's first photo, then each one's second, and so on
    return np.sort(shuffled[np.argsort(turns, kind="stable")[:room]])
