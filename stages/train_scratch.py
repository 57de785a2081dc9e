"""Train a small CNN from nothing, without or with augmentation.

Reads   data/prepared/{train,val}, data/augmented/<variant>
Makes   of the model scratch_<variant> models/<model>.keras (photo in, probabilities and familiarity out),
        plots/history/<model>.csv, metrics/<model>.json, metrics/costs/training/<model>.json
Alone   python -m stages.train_scratch plain, or augmented
Cost    32 s for 600 steps of 32 at 128 px on 2 cores, in bfloat16
"""

import keras
import numpy as np

from stages.lib.core import paths
from stages.lib.core.arrays import Rows
from stages.lib.core.classifier import Classifier
from stages.lib.core.encoding import encode
from stages.lib.core.errors import run
from stages.lib.core.models import VARIANTS, parse_choices
from stages.lib.core.outputs import scratch_folder
from stages.lib.core.params import load_params
from stages.lib.datasets.batches import training_batches, validation_batches
from stages.lib.datasets.pictures import decode_pictures, find_pictures
from stages.lib.familiarity.conformal import keep_scores
from stages.lib.familiarity.scores import breed_means, familiarity
from stages.lib.networks.classifiers import pooled_features, scratch_network, with_familiarity
from stages.lib.networks.graphs import in_precision
from stages.lib.networks.precision import set_precision
from stages.lib.training.devices import all_devices
from stages.lib.training.loop import set_seed, train
from stages.lib.training.results import write_results

BATCH_SIZE = 32  # photos that are asked about at once


def predict_rows(network: keras.Model, pictures: Rows, count: int) -> np.ndarray:
    """What ``network`` gives for the first ``count`` of ``pictures``: float32 (count, channels)."""
    starts = range(0, count, BATCH_SIZE)
    return np.concatenate([network.predict_on_batch(pictures[i : min(i + BATCH_SIZE, count)]) for i in starts])


def main() -> None:
    """Run the stage."""
    (variant,) = parse_choices(__doc__, variant=VARIANTS)
    params = load_params()
    set_seed(params.seed)
    policy = set_precision(params.precision)

    photos, _ = find_pictures(paths.PREPARED / "train")
    settings = params.train_scratch.for_photos(len(photos))
    files, breeds = find_pictures(paths.PREPARED / "train", paths.AUGMENTED / variant)  # the photos, then their views
    val_files, val_breeds = find_pictures(paths.PREPARED / "val")
    names = sorted(set(breeds))
    name = f"scratch_{variant}"

    with scratch_folder(paths.MODELS / f"{name}.keras") as folder:
        decode_pictures(files, folder / "train.npy", settings.image_size)
        decode_pictures(val_files, folder / "val.npy", settings.image_size)
        pictures, val_pictures = Rows(folder / "train.npy"), Rows(folder / "val.npy")
        labels = encode(breeds, names)
        with all_devices(settings.batch_size, len(val_files)):
            model = scratch_network(settings.image_size, len(names), settings.dropout)
            training = training_batches(pictures, labels, len(names), settings, params.seed)
            validation = validation_batches(val_pictures, encode(val_breeds, names), len(names), settings.batch_size)
            trained = train(model, training, validation, settings, what=name)
        network = in_precision(model, "float32")
        pooled = pooled_features(network)
        means = breed_means(predict_rows(pooled, pictures, len(photos)), labels[: len(photos)])
        known = keep_scores(familiarity(means, predict_rows(pooled, val_pictures, len(val_files))))
    classifier = Classifier(with_familiarity(network, means), names, params.data.resize, params.data.image_size, known)
    write_results(name, classifier, trained, policy)


if __name__ == "__main__":
    run(main)
