"""A trained network with what one needs to know to use it, whatever runtime it is of."""

from typing import Any, NamedTuple

METADATA = "metadata.json"  # in a model's file, if that is a zip archive: .keras, and at the end of .tflite
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip file can tell
# what networks give of photos, float32: how familiar each is, (n,) in [-1, 1], and (n, breeds)
FAMILIARITY, PROBABILITIES = "familiarity", "probabilities"


class Classifier(NamedTuple):
    """A trained network and what one needs to know to use it."""

    network: Any  # a `keras.Model`, or what has its `predict_on_batch`, `input_shape` and `output_shape`
    breeds: list[str]  # in the order of the network's probabilities
    resize: str  # how its photos were made square, see `to_square`
    prepared_size: int  # pixels a side of the squares, which `shrink` then takes to `image_size`
    known_familiarity: list[float]  # of known photos, by which `find_threshold` tells from where on a photo is known

    @property
    def image_size(self) -> int:
        """Pixels a side of the pictures that the network takes: `prepared_size` or fewer."""
        return self.network.input_shape[1]

    def check(self) -> None:
        """Raise `ValueError` where the network is for other breeds, or for larger pictures, than there are."""
        familiarity_and_probabilities = [(None,), (None, len(self.breeds))]  # Keras has them in the order of the names
        if self.network.output_shape != familiarity_and_probabilities:
            raise ValueError(f"it gives {self.network.output_shape} for {len(self.breeds)} breeds")
        if self.image_size > self.prepared_size:
            raise ValueError(f"it takes {self.image_size} pixels a side, and photos have {self.prepared_size} before")
