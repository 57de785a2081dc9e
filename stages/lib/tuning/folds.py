"""Folds of photos, near duplicates and views together, and what settings score on them."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold

from stages.lib.core import paths
from stages.lib.core.encoding import encode
from stages.lib.core.errors import UserError
from stages.lib.core.params import Training
from stages.lib.core.progress import Progress
from stages.lib.datasets.features import read_rows
from stages.lib.training import heads


class Pictures(NamedTuple):
    """Photos of train and val, and the views of those of train."""

    features: np.ndarray  # float32 (pictures, channels)
    labels: np.ndarray  # int (pictures,)
    photos: np.ndarray  # int (pictures,) in [0, number of photos): which photo a picture is, or is a view of
    views: np.ndarray  # bool (pictures,): whether it is a view
    groups: np.ndarray  # int (photos,), equal for near duplicates


def read_pictures(backbone: str, variant: str) -> Pictures:
    """Read a backbone's features of ``variant``, and of each row which photo it shows.

    Raises `UserError` where they are not there.
    """
    read = [read_rows(split, paths.FEATURES / backbone / variant) for split in ("train", "val")]
    shown = pd.concat([table for _, table in read], ignore_index=True)
    photos = shown[~shown["view"]]
    return Pictures(
        np.concatenate([rows[:] for rows, _ in read]),
        encode(shown["breed"], sorted(set(shown["breed"]))),
        encode(shown["photo"], photos["photo"].tolist()),
        shown["view"].to_numpy(),
        photos["group"].to_numpy(),
    )


def assign_folds(pictures: Pictures, folds: int, seed: int) -> np.ndarray:
    """The fold of each picture, int (pictures,): stratified by breed, near duplicates and views with their photo.

    Raises `UserError` where a breed has too few photos for so many folds.
    """
    labels = np.empty(len(pictures.groups), int)
    labels[pictures.photos] = pictures.labels
    fewest = min(len(set(pictures.groups[labels == label])) for label in set(labels))
    if fewest < folds:
        raise UserError(
            f"--folds must be at most {fewest}, as one breed has no more photos in train and val, near duplicates "
            f"counted once. Received: {folds}"
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    fold = np.empty(len(labels), int)
    for number, (_, scored) in enumerate(splitter.split(labels, labels, pictures.groups)):
        fold[scored] = number
    return fold[pictures.photos]


def split_folds(pictures: Pictures, fold: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each fold, which pictures train, steer (the next fold's photos) and are scored (this fold's): indices."""
    folds = fold.max() + 1
    for number in range(folds):
        steer, score = (fold == (number + 1) % folds), (fold == number)
        train, shown = ~steer & ~score, ~pictures.views
        yield np.flatnonzero(train), np.flatnonzero(steer & shown), np.flatnonzero(score & shown)


def cross_validate(
    pictures: Pictures, fold: np.ndarray, settings: Training, seed: int
) -> Iterator[tuple[float, float]]:
    """Train a head for each fold; give, one after the other, its log loss (nats) and accuracy on the fold's photos.

    Raises `UserError` where a training diverges.
    """
    features, labels, classes = pictures.features, pictures.labels, int(pictures.labels.max()) + 1
    for train, steer, score in split_folds(pictures, fold):
        head = heads.train_head(
            features[train],
            labels[train],
            features[steer],
            labels[steer],
            classes,
            settings.for_photos(len(np.unique(pictures.photos[train]))),
            seed,
            "transfer in tune",
        )
        probabilities = heads.predict(head, features[score])
        right = probabilities.argmax(axis=1) == labels[score]
        yield log_loss(labels[score], probabilities, labels=range(classes)), right.mean()


def compare(pictures: Pictures, settings: list[Training], folds: int, repeats: int, seed: int) -> np.ndarray:
    """Log loss and accuracy of each of ``settings`` on ``repeats`` other foldings: (settings, repeats x folds, 2)."""
    scores: list[list[tuple[float, float]]] = [[] for _ in settings]
    seeds = [(seed + number) % 2**32 for number in range(1, repeats + 1)]
    with Progress(desc="compare", total=len(settings) * repeats * folds, unit="fold") as bar:
        for other, (each, found) in itertools.product(seeds, zip(settings, scores, strict=True)):
            for pair in cross_validate(pictures, assign_folds(pictures, folds, other), each, other):
                found.append(pair)
                bar.update()
    return np.array(scores)
