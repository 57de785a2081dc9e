"""Train a head on the pooled features of a frozen backbone, without or with augmentation.

Reads   data/features/<backbone>/<variant>, data/features/<backbone>/backbone.keras
Makes   of the model <backbone>_transfer_<variant> models/<model>.keras (backbone and head; photo in, probabilities and
        familiarity out), plots/history/<model>.csv, metrics/<model>.json, metrics/costs/training/<model>.json
Alone   python -m stages.transfer VGG16 plain, or another of `backbones`, or augmented
Cost    8 to 10 s on 2 cores
"""

from stages.lib.core import paths
from stages.lib.core.classifier import Classifier
from stages.lib.core.encoding import encode
from stages.lib.core.errors import run
from stages.lib.core.models import VARIANTS, parse_choices, transfer_model
from stages.lib.core.params import load_params
from stages.lib.datasets.batches import training_batches, validation_batches
from stages.lib.datasets.features import read_photos, read_rows
from stages.lib.familiarity.conformal import keep_scores
from stages.lib.familiarity.leave_out import Photos, score_known
from stages.lib.familiarity.scores import breed_means
from stages.lib.networks.classifiers import head_network, join, with_familiarity
from stages.lib.networks.model_files import load_network
from stages.lib.networks.precision import set_precision
from stages.lib.training.devices import all_devices
from stages.lib.training.loop import set_seed, train
from stages.lib.training.results import write_results


def main() -> None:
    """Run the stage."""
    params = load_params()
    backbone, variant = parse_choices(__doc__, backbone=params.backbones, variant=VARIANTS)
    set_seed(params.seed)
    policy = set_precision(params.precision)

    folder = paths.FEATURES / backbone
    (features, shown), (val_features, val_shown) = (read_rows(split, folder / variant) for split in ("train", "val"))
    names = sorted(set(shown["breed"]))
    settings = params.transfer.for_photos((~shown["view"]).sum())
    labels, val_labels = (encode(table["breed"], names) for table in (shown, val_shown))

    name = transfer_model(backbone, variant)
    with all_devices(settings.batch_size, len(val_labels)):
        head = head_network(features.shape[1], len(names), settings.dropout)
        training = training_batches(features, labels, len(names), settings, params.seed)
        validation = validation_batches(val_features, val_labels, len(names), settings.batch_size)
        trained = train(head, training, validation, settings, what=name)

    read = (read_photos(backbone, variant, split) for split in ("train", "val"))
    photos, val_photos = (Photos(each.features, each.breeds, each.groups) for each in read)
    means = breed_means(photos.features, encode(photos.breeds, names))
    known = keep_scores(score_known(photos, val_photos))
    network = with_familiarity(join(load_network(folder / "backbone.keras"), head), means)
    classifier = Classifier(network, names, params.data.resize, params.data.image_size, known)
    write_results(name, classifier, trained, policy)


if __name__ == "__main__":
    run(main)
