"""The training photos that a network finds most like a photo: why it takes it for known or for unknown."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from stages.lib.core import paths
from stages.lib.core.errors import UserError
from stages.lib.datasets.features import REMEDY, read_photos
from stages.lib.familiarity.scores import NEAREST, find_nearest, normalise
from stages.lib.networks.classifiers import familiar_features


class Alike(NamedTuple):
    """A training photo."""

    file: Path  # of its picture
    breed: str


class TrainingPhotos(NamedTuple):
    """All training photos, by what a backbone makes of them."""

    network: keras.Model  # pictures to features, float32 (n, channels)
    features: np.ndarray  # float32 (training photos, channels), rows of length 1
    photos: list[Alike]

    def most_alike(self, features: np.ndarray) -> list[list[Alike]]:
        """The `NEAREST` most like each picture of which ``network`` gave ``features``, the most like first."""
        found = find_nearest(self.features, features, NEAREST)
        return [[self.photos[place] for place in places] for places in found.places]


def read_training_photos(network: keras.Model, backbone: str) -> TrainingPhotos:
    """Read what there is to compare photos with.

    Args:
        network: of a model on ``backbone``, as it is saved.
        backbone: one of `backbones`; a CNN from scratch has no features on disk.

    Raises `UserError` where what the stage features made is not there, or of another network.
    """
    read, features = read_photos(backbone, "plain", "train"), familiar_features(network)
    if read.features.shape[1:] != features.output_shape[1:]:
        raise UserError(f"{paths.FEATURES / backbone} is of another network than the model: {REMEDY}.")
    files = [paths.PREPARED / "train" / f"{photo}.png" for photo in read.photos]
    photos = [Alike(file, breed) for file, breed in zip(files, read.breeds.tolist(), strict=True)]
    return TrainingPhotos(features, normalise(read.features), photos)
