"""What a model says of photos that nobody has labelled, and which of them are worth a label."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from stages.lib.core.parallel import in_parallel
from stages.lib.familiarity.scores import find_nearest
from stages.lib.images.duplicates import group_labels, near_pairs, perceptual_hashes
from stages.lib.images.photos import read_photo, to_square
from stages.lib.inference.nearest import TrainingPhotos
from stages.lib.probes.active_learning import choose_to_label
from stages.lib.reporting.charts import SHEET_COLUMNS, contact_sheet
from stages.lib.reporting.embedding import THUMBNAIL

COLUMNS = ["photo", "guess", "probability", "second", "second_probability", "like_guess", "like_second"]


class Unlabelled(NamedTuple):
    """Photos that a model was asked about."""

    files: list[Path]
    hashes: np.ndarray  # uint64 (photos, 2), see `perceptual_hashes`
    probabilities: np.ndarray  # float32 (photos, breeds)
    features: np.ndarray  # float32 (photos, channels), rows of length 1
    unknown: np.ndarray  # bool (photos,): none of the breeds


class Left(NamedTuple):
    """How many photos are not to be labelled, each counted once, and why."""

    labelled: int  # or nearly the same as one that is
    alike: int  # nearly the same as another of them
    unknown: int  # none of the breeds


def hash_pictures(files: list[Path]) -> np.ndarray:
    """The hashes of pictures, uint64 (files, 2)."""

    def hash_picture(file: Path) -> tuple[int, int]:
        with Image.open(file) as picture:
            return perceptual_hashes(picture)

    hashed = in_parallel(hash_picture, files, what="labelled photos")
    return np.array(hashed, np.uint64).reshape(-1, 2)


def worth_a_label(photos: Unlabelled, labelled: np.ndarray, distance: int) -> tuple[np.ndarray, Left]:
    """Which photos are worth a label: bool (photos,), and why the others are not.

    Args:
        photos: unlabelled ones.
        labelled: uint64 (n, 2), hashes of labelled photos.
        distance: bits in which the hashes of near duplicates differ at most.
    """
    hashes = np.concatenate([labelled, photos.hashes])
    groups = group_labels(len(hashes), near_pairs(hashes[:, 0], hashes[:, 1], distance))
    known, groups = groups[: len(labelled)], groups[len(labelled) :]
    is_labelled = np.isin(groups, known)
    is_first = np.zeros(len(groups), bool)
    asked = np.flatnonzero(~photos.unknown)
    is_first[asked[np.unique(groups[asked], return_index=True)[1]]] = True
    worth = ~is_labelled & ~photos.unknown & is_first
    unknown = ~is_labelled & photos.unknown
    return worth, Left(int(is_labelled.sum()), int((~is_labelled & ~unknown & ~worth).sum()), int(unknown.sum()))


def most_alike(training: TrainingPhotos, breed: str, features: np.ndarray) -> Path:
    """The training photo of ``breed`` that is most like a photo, of which ``features`` (channels,) tell."""
    places = [place for place, photo in enumerate(training.photos) if photo.breed == breed]
    nearest = find_nearest(training.features[places], features[None], k=1).places[0, 0]
    return training.photos[places[nearest]].file


def choose(photos: Unlabelled, worth: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The rows of ``count`` photos, of those that are ``worth`` a label, bool (photos,); see `choose_to_label`."""
    rows = np.flatnonzero(worth)
    return rows[choose_to_label(photos.probabilities[rows], photos.features[rows], count, seed)]


def tell_about(photos: Unlabelled, rows: np.ndarray, breeds: list[str], training: TrainingPhotos) -> pd.DataFrame:
    """What a person is to be told of photos, `COLUMNS`, a row each.

    They are the photo, the breed that the model would guess and the next one with their probabilities, and the training
    photo of each that is most like it.
    """
    table = []
    for row in rows:
        probabilities, features = photos.probabilities[row], photos.features[row]
        likeliest = np.argsort(-probabilities, kind="stable")[:2]
        guesses = [each for place in likeliest for each in (breeds[place], probabilities[place])]
        alike = (most_alike(training, breeds[place], features) for place in likeliest)
        table.append((str(photos.files[row]), *guesses, *alike))
    return pd.DataFrame(table, columns=COLUMNS)


def draw_guesses(table: pd.DataFrame, max_pixels: int) -> Figure:
    """Lay photos out by the breed that a model guesses, the first of each; ``table`` has photo and guess."""
    rows = {}
    for breed, photos in table.groupby("guess")["photo"]:
        read = (read_photo(Path(photo), max_pixels) for photo in photos.head(SHEET_COLUMNS))
        rows[str(breed)] = [to_square(photo, THUMBNAIL, "pad") for photo in read]
    return contact_sheet(rows, "Photos to label first, by the breed that the model would guess")
