"""Batch norm goes on learning in a backbone that is meant to be frozen: its means and variances follow the batches.

The patch: `start` puts the head on a backbone whose batch norms are in training mode. Nothing else in it is trained.
"""

from dataclasses import dataclass

import keras

from benchmarks.faults.outcomes import Outcome
from benchmarks.faults.photos import Photographs
from benchmarks.faults.recipe import Recipe
from stages.lib.backbones.build import build_backbone
from stages.lib.core import paths
from stages.lib.core.params import Training
from stages.lib.networks.classifiers import head_network, join

STEPS, LOOKS = 100, 5


def move_batch_norms(backbone: keras.Model) -> None:
    """Freeze ``backbone`` but for the means and variances of its batch norms, which follow each batch that trains."""
    for layer in backbone.layers:
        layer.trainable = isinstance(layer, keras.layers.BatchNormalization)
        for weight in layer.weights:
            weight.trainable = False  # a batch norm's scale and shift, too


@dataclass(frozen=True)
class MovingBatchNorm(Recipe):
    """Trains a head through the backbone, on pixels."""

    settings: Training
    network: str

    def start(self) -> keras.Model:
        """Backbone and head as one network."""
        pictures, settings = self.pictures, self.settings
        weights = paths.WEIGHTS / f"{self.network}-bundled.weights.h5"
        backbone = build_backbone(self.network, pictures.inputs.shape[1], weights)
        move_batch_norms(backbone)
        breeds = len({*pictures.breeds.tolist()})
        head = head_network(backbone.output_shape[-1], breeds, settings.dropout)
        return join(backbone, head)


def measure(photographs: Photographs, seeds: list[int]) -> list[Outcome]:
    """A head on EfficientNetLite0, in batches of 32 and of 8; sound is the same head on its frozen features."""
    params, outcomes = photographs.params, []
    frozen = photographs.features("EfficientNetLite0", "photos")
    for batch_size in (32, 8):
        few = {"steps": STEPS, "validate_every": STEPS // LOOKS, "batch_size": batch_size}
        settings = params.transfer.model_copy(update=few)
        for seed in seeds:
            right = Recipe(frozen, settings, params.split, seed)
            wrong = MovingBatchNorm(photographs.photos, settings, params.split, seed, "EfficientNetLite0")
            worth = wrong.accuracy(wrong.test)
            sound = right.accuracy(right.test)
            outcomes.append(Outcome("moving_batch_norm", f"batches of {batch_size}", seed, worth, worth, sound))
    return outcomes
