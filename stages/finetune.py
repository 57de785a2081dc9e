"""Train the last layers of the backbone together with the head that transfer trained with augmentation.

Reads   models/transfer_augmented.keras, data/activations
Makes   models/finetune.keras, plots/history/finetune.csv, metrics/finetune.json, metrics/costs/finetune.json
Alone   python -m stages.finetune
Cost    30 s for 100 steps of 32 at 128 px on 2 cores, in bfloat16
"""

import keras

from stages.lib.backbones.cutting import cut_below, last_layers
from stages.lib.core import paths
from stages.lib.core.classifier import Classifier
from stages.lib.core.encoding import encode
from stages.lib.core.errors import run
from stages.lib.core.params import load_params
from stages.lib.datasets.batches import training_batches, validation_batches
from stages.lib.datasets.features import read_features
from stages.lib.networks.classifiers import HEAD
from stages.lib.networks.graphs import in_precision
from stages.lib.networks.model_files import load_classifier
from stages.lib.networks.precision import set_precision
from stages.lib.training.devices import all_devices
from stages.lib.training.loop import set_seed, train
from stages.lib.training.results import write_results


def split_for_training(model: keras.Model, layers: int) -> keras.Model:
    """Freeze all of ``model`` but its head and its backbone's last ``layers`` layers; return what is above the cut.

    The part that is returned shares its weights with ``model``: to train it is to train ``model``.
    """
    of_backbone = [layer for layer in model.layers if not layer.name.startswith(HEAD) and layer.name != "probabilities"]
    trained = last_layers(of_backbone, layers)
    for layer in of_backbone:
        layer.trainable = layer in trained
    return keras.Model(cut_below(model, trained).output, model.output)


def main() -> None:
    """Run the stage."""
    params = load_params()
    settings = params.finetune
    set_seed(params.seed)
    policy = set_precision(params.precision)

    activations, breeds = read_features(paths.ACTIVATIONS, "train")
    val_activations, val_breeds = read_features(paths.ACTIVATIONS, "val")
    transferred = load_classifier(paths.MODELS / "transfer_augmented.keras")
    names = transferred.breeds
    with all_devices(settings.batch_size, len(val_breeds)):
        model = in_precision(transferred.network, policy, {f"{HEAD}dropout": settings.dropout})
        top = split_for_training(model, settings.layers)
        training = training_batches(activations, encode(breeds, names), len(names), settings, params.seed)
        validation = validation_batches(val_activations, encode(val_breeds, names), len(names), settings.batch_size)
        trained = train(top, training, validation, settings, what="finetune")
    write_results("finetune", Classifier(model, names, transferred.resize), trained, policy)


if __name__ == "__main__":
    run(main)
