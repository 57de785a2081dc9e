"""Train a small CNN from nothing, without or with augmentation.

Reads   data/prepared/{train,val}, data/augmented/<variant>
Makes   models/scratch_<variant>.keras, plots/history/scratch_<variant>.csv, metrics/scratch_<variant>.json,
        metrics/costs/training/scratch_<variant>.json
Alone   python -m stages.train_scratch plain, or augmented
Cost    50 s for 600 steps of 32 at 128 px on 2 cores, in bfloat16
"""

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
from stages.lib.networks.classifiers import scratch_network
from stages.lib.networks.precision import set_precision
from stages.lib.training.devices import all_devices
from stages.lib.training.loop import set_seed, train
from stages.lib.training.results import write_results


def main() -> None:
    """Run the stage."""
    (variant,) = parse_choices(__doc__, variant=VARIANTS)
    params = load_params()
    settings = params.train_scratch
    set_seed(params.seed)
    policy = set_precision(params.precision)

    files, breeds = find_pictures(paths.PREPARED / "train", paths.AUGMENTED / variant)
    val_files, val_breeds = find_pictures(paths.PREPARED / "val")
    names = sorted(set(breeds))
    name = f"scratch_{variant}"

    with scratch_folder(paths.MODELS / f"{name}.keras") as folder, all_devices(settings.batch_size, len(val_files)):
        decode_pictures(files, folder / "train.npy", settings.image_size)
        decode_pictures(val_files, folder / "val.npy", settings.image_size)
        pictures, val_pictures = Rows(folder / "train.npy"), Rows(folder / "val.npy")
        model = scratch_network(settings.image_size, len(names), settings.dropout)
        training = training_batches(pictures, encode(breeds, names), len(names), settings, params.seed)
        validation = validation_batches(val_pictures, encode(val_breeds, names), len(names), settings.batch_size)
        trained = train(model, training, validation, settings, what=name)
    classifier = Classifier(model, names, params.data.resize, params.data.image_size)
    write_results(name, classifier, trained, policy)


if __name__ == "__main__":
    run(main)
