"""How fast the pictures come, with no network to wait for: what each stage reads, at the rate that it could be read.

Where that is many times the rate at which the stage trains, training waits for arithmetic and not for data. The files
were read or written a moment ago, so the system has them in memory, as in a run of the pipeline.

Alone   python -m benchmarks.input, in a folder where `dvc repro` has run; prints JSON, of `main_backbone`
"""

import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from stages.lib.core import paths
from stages.lib.core.arrays import Rows
from stages.lib.core.params import Training, load_params
from stages.lib.datasets.batches import training_batches
from stages.lib.datasets.features import read_rows
from stages.lib.datasets.pictures import decode_pictures, find_pictures, picture_batches

STEPS = 100


def rate(batches: Iterable[Any]) -> float:
    """Pictures a second of ``batches``, read to their end."""
    start = time.perf_counter()
    count = sum(len(batch[0] if isinstance(batch, tuple) else batch) for batch in batches)
    return count / (time.perf_counter() - start)


def training_input(inputs: Rows, settings: Training) -> tf.data.Dataset:
    """The batches of `STEPS` training steps."""
    few = settings.model_copy(update={"steps": STEPS, "validate_every": STEPS})
    return training_batches(inputs, np.zeros(len(inputs), int), 1, few, seed=1)


def main() -> None:
    """Measure, and print JSON on the last line."""
    params = load_params()
    name = params.main_backbone
    features, activations = paths.FEATURES / name / "augmented", paths.ACTIVATIONS / name / "views"
    files, _ = find_pictures(paths.PREPARED / "train", paths.AUGMENTED / "augmented")
    with tempfile.TemporaryDirectory() as folder:
        decoded = Path(folder) / "train.npy"
        start = time.perf_counter()
        decode_pictures(files, decoded, params.train_scratch.image_size)
        decoding = len(files) / (time.perf_counter() - start)
        rates = {
            "features": rate(picture_batches(files, 32, params.backbones[name].image_size)),
            "train_scratch, decoding": decoding,
            "train_scratch": rate(training_input(Rows(decoded), params.train_scratch)),
            "transfer": rate(training_input(read_rows("train", features)[0], params.transfer)),
            "finetune": rate(training_input(read_rows("train", activations)[0], params.finetune)),
        }
    print(json.dumps(rates))


if __name__ == "__main__":
    main()
