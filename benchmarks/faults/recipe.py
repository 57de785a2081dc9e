"""The sound recipe on arrays, step by step, as the stages have it. A fault overrides the step that it gets wrong."""

from dataclasses import dataclass, fields
from functools import cached_property

import keras
import numpy as np
import pandas as pd

from stages.lib.core.encoding import encode
from stages.lib.core.params import Scratch, Split, Training
from stages.lib.datasets.batches import training_batches, validation_batches
from stages.lib.images.splitting import assign_splits
from stages.lib.networks.classifiers import head_network, scratch_network
from stages.lib.training.heads import predict
from stages.lib.training.loop import set_seed, train

BATCH_SIZE = 32  # pictures that are asked about at once


@dataclass(frozen=True)
class Pictures:
    """Photos and, behind them, views of them: one row a picture."""

    inputs: np.ndarray  # (n, ...), what the network takes: pixels or features
    breeds: np.ndarray  # str (n,)
    shows: np.ndarray  # int (n,), the row of the photo that a view or a planted edit was made of; of others their own
    views: np.ndarray  # bool (n,), which are views, made to train on; an edit is a photo like any other
    groups: np.ndarray  # int (n,), equal for those that `prepare` takes for near duplicates
    digests: np.ndarray  # str (n,), sha256 of the content

    @property
    def labels(self) -> np.ndarray:
        """The breeds as numbers, in the order of their names: int (n,)."""
        return encode(self.breeds, sorted({*self.breeds.tolist()}))

    def only(self, rows: np.ndarray) -> "Pictures":
        """Some of them; ``rows``, bool (n,), holds the photo of each view."""
        return Pictures(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class Recipe:
    """One training and its scores."""

    pictures: Pictures
    settings: Training
    shares: Split
    seed: int

    def groups(self) -> np.ndarray:
        """What must not be torn apart by the split: int (n,)."""
        return self.pictures.groups

    @cached_property
    def splits(self) -> np.ndarray:
        """ "train", "val" or "test" for each picture, by photo: a view goes where its photo went."""
        pictures, photos = self.pictures, ~self.pictures.views
        splits = np.empty(len(photos), "U5")
        splits[photos] = assign_splits(
            pictures.breeds[photos].tolist(),
            self.groups()[photos],
            pictures.digests[photos].tolist(),
            self.shares.test,
            self.shares.val,
            self.seed,
        )
        splits[~photos] = splits[pictures.shows[~photos]]
        return splits

    def training(self) -> np.ndarray:
        """Which pictures train: those of train, with their views."""
        return self.splits == "train"

    def steering(self) -> np.ndarray:
        """Which pictures say when to stop and which weights to keep: the photos of val."""
        return (self.splits == "val") & ~self.pictures.views

    def start(self) -> keras.Model:
        """The network as it is before training: nobody has trained it."""
        breeds, settings = len({*self.pictures.breeds.tolist()}), self.settings
        if isinstance(settings, Scratch):
            return scratch_network(self.pictures.inputs.shape[1], breeds, settings.dropout)
        return head_network(self.pictures.inputs.shape[1], breeds, settings.dropout)

    @cached_property
    def trained(self) -> tuple[keras.Model, pd.DataFrame]:
        """The network at its best look at what steers, and its history, a row a look."""
        keras.backend.clear_session()  # or each training would add its graph to the memory in use
        set_seed(self.seed)
        inputs, labels = self.pictures.inputs, self.pictures.labels
        network, classes = self.start(), int(labels.max()) + 1
        rows, steering = self.training(), self.steering()
        training = training_batches(inputs[rows], labels[rows], classes, self.settings, self.seed)
        validation = validation_batches(inputs[steering], labels[steering], classes, self.settings.batch_size)
        history = train(network, training, validation, self.settings, type(self).__name__, quiet=True).history
        return network, history

    def predicted(self, rows: np.ndarray, inputs: np.ndarray | None = None) -> np.ndarray:
        """The breeds, as numbers, that the trained network takes some pictures for.

        ``rows`` is bool (n,); ``inputs``, of all pictures, stand in for those that it trained on.
        """
        network, asked = self.trained[0], (self.pictures.inputs if inputs is None else inputs)[rows]
        starts = range(0, len(asked), BATCH_SIZE)
        answers = [predict(network, asked[start : start + BATCH_SIZE]).argmax(axis=1) for start in starts]
        return np.concatenate(answers)

    def accuracy(self, rows: np.ndarray, inputs: np.ndarray | None = None) -> float:
        """Share of right answers about some pictures, 0 to 1, as `predicted` gives them."""
        return float(np.mean(self.predicted(rows, inputs) == self.pictures.labels[rows]))

    @property
    def test(self) -> np.ndarray:
        """The photos of test: bool (n,)."""
        return (self.splits == "test") & ~self.pictures.views
