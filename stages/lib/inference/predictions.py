"""What networks answer about pictures."""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from stages.lib.core.progress import Progress
from stages.lib.datasets.pictures import picture_batches

BATCH_SIZE = 32


def predict_pictures(network: keras.Model, files: list[Path], what: str) -> Any:
    """What ``network`` gives for ``files``, in their order: arrays in the structure that its output has.

    Pictures are read in batches of `BATCH_SIZE`, so that memory does not grow with their number.
    """
    if not files:
        return keras.tree.map_structure(lambda output: np.empty((0, *output.shape[1:]), np.float32), network.output)
    batches = []
    with Progress(desc=what, total=len(files), unit="picture") as bar:
        for batch in picture_batches(files, BATCH_SIZE, network.input_shape[1]):
            batches.append(network.predict_on_batch(batch))
            bar.update(len(batch))
    return keras.tree.map_structure(lambda *parts: np.concatenate(parts), *batches)
