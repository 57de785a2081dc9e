"""How familiar a photo is to a model: its features beside those of the training photos.

Features are what a network gives below its head, pooled over the picture. They are compared by their direction alone,
the cosine, as their length tells more of a photo's contrast than of what it shows. The score that noticed most of what
is unknown is the cosine to the mean of the nearest breed (nearest class mean: Mensink et al., Distance-based image
classification, PAMI 2013): docs/unknown.md compares it to others, among them that to the nearest training photos (Sun
et al., Out-of-distribution detection with deep nearest neighbors, ICML 2022), which show a person why.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

NEAREST = 3  # training photos that are shown beside a photo
_BLOCK = 256  # photos compared at a time, which bounds the memory


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
    # by the largest first, as the squares of very large or small numbers are beyond float32
    largest = np.abs(features).max(axis=1, keepdims=True, initial=0)
    scaled = (features / np.where(largest > 0, largest, 1)).astype(np.float32)
    return scaled / np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1)


# The nearest breed


def breed_means(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The direction in which each breed's training photos lie: float32 (breeds, channels), rows of length 1.

    Args:
        features: (training photos, channels), of any length; each photo counts alike.
        labels: int (training photos,) in [0, breeds), each breed with a photo or more.
    """
    unit = normalise(features)
    return normalise(np.stack([unit[labels == label].mean(axis=0) for label in range(labels.max() + 1)]))


def cosines_to_breeds(means: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The cosine of each photo to each breed: float32 (n, breeds) in [-1, 1].

    Args:
        means: float32 (breeds, channels), as `breed_means` gives them.
        features: (n, channels), of any length; an array, or rows on disk.

    Raises:
        ValueError: where a feature is not finite.
    """
    found = [np.empty((0, len(means)), np.float32)]
    for start in range(0, len(features), _BLOCK):
        found.append(normalise(features[start : start + _BLOCK]) @ means.T)
    return np.clip(np.concatenate(found), -1, 1)


def familiarity(means: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The cosine to the nearest breed: float32 (n,) in [-1, 1], higher is more familiar.

    Takes and raises what `cosines_to_breeds` does.
    """
    return cosines_to_breeds(means, features).max(axis=1)


def leave_one_out_familiarity(features: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """How familiar each training photo would be, had it and its near duplicates not been there.

    So the training photos, too, tell what is usual of known ones, and are many more than val's. Not for features of a
    network that was trained on these photos.

    Args:
        features: (training photos, channels).
        labels: int (training photos,) in [0, breeds), of two breeds or more.
        groups: int (training photos,), equal for near duplicates.

    Returns:
        float32 (training photos,) in [-1, 1]; a breed of which nothing else is left does not count.
    """
    unit = normalise(features)
    cosines = unit @ breed_means(features, labels).T
    rows = pd.DataFrame(unit)
    rest = rows.groupby(labels).transform("sum") - rows.groupby([labels, groups]).transform("sum")
    is_left = pd.Series(groups).groupby(labels).transform("nunique") > 1
    to_rest = (unit * normalise(rest.to_numpy())).sum(axis=1)
    cosines[np.arange(len(unit)), labels] = np.where(is_left, to_rest, -1)
    return np.clip(cosines.max(axis=1), -1, 1)


# The nearest training photos


def find_nearest(bank: np.ndarray, features: np.ndarray, k: int = NEAREST) -> Nearest:
    """Find the ``k`` training photos whose features point most nearly where a photo's do.

    Args:
        bank: float32 (training photos, channels), as `normalise` gives them.
        features: (n, channels), of the photos asked about, of any length; an array, or rows on disk.
        k: how many; all of them where the bank has fewer.

    Raises:
        ValueError: where the bank is empty, where ``k`` is less than 1, and where a feature is not finite.
    """
    if not len(bank) or k < 1:
        raise ValueError(f"bank must have a photo, and k must be 1 or more. Received: {len(bank)} photos, k = {k}")
    k = min(k, len(bank))
    found = [Nearest(np.empty((0, k), np.float32), np.empty((0, k), np.intp))]
    for start in range(0, len(features), _BLOCK):
        to_all = normalise(features[start : start + _BLOCK]) @ bank.T
        places = np.sort(np.argpartition(-to_all, k - 1, axis=1)[:, :k], axis=1)  # of equal ones, the bank's first
        order = np.argsort(-np.take_along_axis(to_all, places, axis=1), axis=1, kind="stable")
        places = np.take_along_axis(places, order, axis=1)
        found.append(Nearest(np.take_along_axis(to_all, places, axis=1), places))
    cosines, places = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Nearest(np.clip(cosines, -1, 1), places)
