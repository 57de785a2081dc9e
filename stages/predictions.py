"""Ask trained models about the photos of val and test, once: whatever scores them later repeats no inference.

Reads   data/prepared/{val,test}, data/prepared_unknown, models/<model>.keras of a family: the two from scratch, or the
        three on a backbone, which share their frozen layers and so are asked together; of a backbone
        data/features/<backbone>/plain
Makes   data/predictions/<family>: probabilities, averaged over `evaluate.views` views of a photo, how familiar it is,
        on a backbone which training photos are most like it, and each model's breeds, known photos' familiarity,
        parameters, size and hash; metrics/costs/predictions/<family>.json: milliseconds a photo
Alone   python -m stages.predictions scratch, or one of `backbones`
Opens   the test photos, for the first time; nothing is fitted or chosen here
"""

from pathlib import Path
from typing import Any

import numpy as np

from stages.lib.core import paths
from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES, Classifier
from stages.lib.core.errors import run
from stages.lib.core.models import parse_choices
from stages.lib.core.outputs import whole_folder, write_json
from stages.lib.core.params import load_params
from stages.lib.datasets.pictures import find_pictures, name_photos
from stages.lib.datasets.predictions import Predictions, write_models, write_nearest, write_predictions
from stages.lib.inference.costs import describe_file, time_networks
from stages.lib.inference.nearest import Alike, read_training_photos
from stages.lib.inference.predictions import predict_pictures
from stages.lib.networks.graphs import average_views, join_networks
from stages.lib.networks.model_files import load_classifier

PLACES = {"val": paths.PREPARED / "val", "test": paths.PREPARED / "test", "unknown": paths.UNKNOWN}


def describe(classifier: Classifier, file: Path) -> dict[str, Any]:
    """What there is to know of a model, see `write_models`."""
    known = {name: getattr(classifier, name) for name in ("breeds", "known_familiarity")}
    return known | describe_file(classifier.network, file)


def collect(photos: list[str], breeds: list[str], answers: dict[str, dict[str, np.ndarray]]) -> Predictions:
    """Bring together what each model's network gave of ``photos``."""
    outputs = ({model: each[output] for model, each in answers.items()} for output in (PROBABILITIES, FAMILIARITY))
    return Predictions(photos, breeds, *outputs)


def list_nearest(split: str, photos: list[str], alike: list[list[Alike]]) -> list[tuple[str, str, str, str]]:
    """One row a training photo that is most like one of ``photos``."""
    return [
        (split, photo, each.file.relative_to(paths.PREPARED).as_posix(), each.breed)
        for photo, found in zip(photos, alike, strict=True)
        for each in found
    ]


def main() -> None:
    """Run the stage."""
    params = load_params()
    (family,) = parse_choices(__doc__, family=params.families)
    views = params.evaluate.views
    files = {model: paths.MODELS / f"{model}.keras" for model in params.families[family]}
    classifiers = {model: load_classifier(file) for model, file in files.items()}
    networks = {model: classifier.network for model, classifier in classifiers.items()}
    training_photos = (
        read_training_photos(next(iter(networks.values())), family) if family in params.backbones else None
    )
    asked = [*networks.values(), *([training_photos.network] if training_photos else [])]
    joined = average_views(join_networks(asked), views)

    with whole_folder(paths.PREDICTIONS / family) as folder:
        nearest = []
        for split, place in PLACES.items():
            pictures, breeds = find_pictures(place)
            photos = name_photos(pictures, place)
            *answers, last = predict_pictures(joined, pictures, f"{family} on {split}")
            if training_photos is None:
                answers.append(last)
            elif split != "val":
                nearest += list_nearest(split, photos, training_photos.most_alike(last))
            write_predictions(folder, split, collect(photos, breeds, dict(zip(networks, answers, strict=True))))
        if training_photos:
            write_nearest(folder, nearest)
        write_models(folder, {model: describe(each, files[model]) for model, each in classifiers.items()})
    timed = time_networks(networks, views)
    write_json(
        paths.PREDICTION_COSTS / f"{family}.json",
        {model: {"milliseconds_batch_1": milliseconds} for model, milliseconds in timed.items()},
    )
    told = ", ".join(f"{model} {milliseconds:.0f} ms a photo" for model, milliseconds in timed.items())
    print(f"predictions of {family}: {told}")


if __name__ == "__main__":
    run(main)
