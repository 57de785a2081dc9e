"""A trained network with what one needs to know to use it, whatever runtime it is of."""

from typing import Any, NamedTuple

METADATA = "metadata.json"  # in a model's file, if that is a zip archive: .keras, and at the end of .tflite
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip file can tell


class Classifier(NamedTuple):
    """A trained network and what one needs to know to use it."""

    network: Any  # a `keras.Model`, or what has its `predict_on_batch`, `input_shape` and `output_shape`
    breeds: list[str]  # in the order of the network's probabilities
    resize: str  # how its photos were made square, see `to_square`

    @property
    def image_size(self) -> int:
        """Pixels a side of the photos that the network takes."""
        return self.network.input_shape[1]
