"""Train the last layers of a backbone together with the head that transfer trained with augmentation.

Reads   models/<backbone>_transfer_augmented.keras, data/activations/<backbone>
Makes   of the model <backbone>_finetune models/<model>.keras, whose familiarity is that of the frozen backbone,
        plots/history/<model>.csv, metrics/<model>.json,
        metrics/costs/training/<model>.json
Alone   python -m stages.finetune VGG16, or another of `backbones`
Cost    22 s for 100 steps of 32 of VGG16 at 128 px, 17 of EfficientNetLite2 at 260, on 2 cores, in bfloat16
"""

import keras

from stages.lib.backbones.cutting import cut_below, last_layers
from stages.lib.core import paths
from stages.lib.core.classifier import PROBABILITIES
from stages.lib.core.encoding import encode
from stages.lib.core.errors import run
from stages.lib.core.models import finetune_model, parse_choices, transfer_model
from stages.lib.core.params import load_params
from stages.lib.datasets.batches import training_batches, validation_batches
from stages.lib.datasets.features import read_rows
from stages.lib.networks.classifiers import HEAD
from stages.lib.networks.graphs import in_precision, only, replace_probabilities
from stages.lib.networks.model_files import load_classifier
from stages.lib.networks.precision import set_precision
from stages.lib.training.devices import all_devices
from stages.lib.training.loop import set_seed, train
from stages.lib.training.results import write_results


def split_for_training(model: keras.Model, layers: int) -> keras.Model:
    """Freeze all of ``model`` but its head and its backbone's last ``layers`` layers; return what is above the cut.

    The part that is returned shares its weights with ``model``: to train it is to train ``model``.
    """
    of_backbone = [layer for layer in model.layers if not layer.name.startswith(HEAD) and layer.name != PROBABILITIES]
    trained = last_layers(of_backbone, layers)
    for layer in of_backbone:
        layer.trainable = layer in trained
    return keras.Model(cut_below(model, trained).output, model.output)


def main() -> None:
    """Run the stage."""
    params = load_params()
    (backbone,) = parse_choices(__doc__, backbone=params.backbones)
    name = finetune_model(backbone)
    set_seed(params.seed)
    policy = set_precision(params.precision)

    folders = [paths.ACTIVATIONS / backbone / pictures for pictures in ("photos", "views")]
    (activations, shown), (val_activations, val_shown) = (read_rows(split, *folders) for split in ("train", "val"))
    settings = params.finetune.for_photos((~shown["view"]).sum())
    transferred = load_classifier(paths.MODELS / f"{transfer_model(backbone, 'augmented')}.keras")
    names = transferred.breeds
    labels, val_labels = (encode(table["breed"], names) for table in (shown, val_shown))
    with all_devices(settings.batch_size, len(val_labels)):
        model = in_precision(only(transferred.network, PROBABILITIES), policy, {f"{HEAD}dropout": settings.dropout})
        top = split_for_training(model, params.backbones[backbone].finetune_layers)
        training = training_batches(activations, labels, len(names), settings, params.seed)
        validation = validation_batches(val_activations, val_labels, len(names), settings.batch_size)
        trained = train(top, training, validation, settings, what=name)
    network = replace_probabilities(transferred.network, in_precision(model, "float32"))
    write_results(name, transferred._replace(network=network), trained, policy)


if __name__ == "__main__":
    run(main)
