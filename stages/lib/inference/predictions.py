"""The answers of several networks to the same pictures."""

from pathlib import Path

import keras
import numpy as np

from stages.lib.core.progress import Progress
from stages.lib.datasets.pictures import picture_batches

BATCH_SIZE = 32


def predict_pictures(network: keras.Model, files: list[Path], what: str) -> list[np.ndarray]:
    """The probabilities that each output of ``network`` gives: float32 (pictures, breeds), in the order of ``files``.

    Pictures are read in batches of `BATCH_SIZE`, so that memory does not grow with their number.
    """
    batches = []
    with Progress(desc=what, total=len(files), unit="picture") as bar:
        for batch in picture_batches(files, BATCH_SIZE, network.input_shape[1]):
            batches.append(keras.tree.flatten(network.predict_on_batch(batch)))
            bar.update(len(batch))
    return [np.concatenate(probabilities) for probabilities in zip(*batches, strict=True)]
