"""Train a head on the pooled features of a frozen backbone, without or with augmentation.

Reads   data/features/<variant>, the file that `backbone.weights` names
Makes   models/transfer_<variant>.keras (backbone and head, photo in, probabilities out),
        plots/history/transfer_<variant>.csv, metrics/transfer_<variant>.json, metrics/costs/transfer_<variant>.json
Alone   python -m stages.transfer plain, or augmented
Cost    10 s on 2 cores, of which training takes 3
"""

from pathlib import Path

from stages.lib.backbones.build import build_backbone
from stages.lib.core import paths
from stages.lib.core.classifier import Classifier
from stages.lib.core.encoding import encode
from stages.lib.core.errors import run
from stages.lib.core.models import VARIANTS, parse_choice
from stages.lib.core.params import load_params
from stages.lib.datasets.batches import training_batches, validation_batches
from stages.lib.datasets.features import read_features
from stages.lib.networks.classifiers import head_network, join
from stages.lib.networks.precision import set_precision
from stages.lib.training.devices import all_devices
from stages.lib.training.loop import set_seed, train
from stages.lib.training.results import write_results


def main() -> None:
    """Run the stage."""
    variant = parse_choice(__doc__, "variant", VARIANTS)
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
