"""Train a head on the pooled features of a frozen backbone, without or with augmentation.

Reads   data/features/<variant>, the file that `backbone.weights` names
Makes   models/transfer_<variant>.keras (backbone and head, photo in, probabilities out),
        plots/history/transfer_<variant>.csv, metrics/transfer_<variant>.json, metrics/costs/transfer_<variant>.json
Alone   python -m stages.transfer plain, or augmented
Cost    10 s on 2 cores, of which training takes 3
"""

from pathlib import Path

from stages.lib import paths
from stages.lib.backbones import build_backbone
from stages.lib.classifiers import head_network, join
from stages.lib.datasets import encode, read_features, training_batches, validation_batches
from stages.lib.devices import all_devices
from stages.lib.errors import run
from stages.lib.model_files import Classifier
from stages.lib.models import parse_variant
from stages.lib.params import load_params
from stages.lib.precision import set_precision
from stages.lib.training import set_seed, train, write_results


def main() -> None:
    """Run the stage."""
    variant = parse_variant(__doc__)
    params = load_params()
    settings = params.transfer
    set_seed(params.seed)
    policy = set_precision(params.precision)

    features, breeds = read_features(paths.FEATURES / variant, "train")
    val_features, val_breeds = read_features(paths.FEATURES / variant, "val")
    names = sorted(set(breeds))

    name = f"transfer_{variant}"
    with all_devices(settings.batch_size, len(val_breeds)):
        head = head_network(features.shape[1], len(names), settings.dense_units, settings.dropout)
        training = training_batches(features, encode(breeds, names), len(names), settings, params.seed)
        validation = validation_batches(val_features, encode(val_breeds, names), len(names), settings.batch_size)
        trained = train(head, training, validation, settings, what=name)
    backbone = build_backbone(params.backbone.name, params.data.image_size, Path(params.backbone.weights))
    write_results(name, Classifier(join(backbone, head), names, params.data.resize), trained, policy)


if __name__ == "__main__":
    run(main)
