"""Ask trained models about the photos of val and test, once: whatever scores them later repeats no inference.

Reads   data/prepared/{val,test}, data/prepared_unknown, models/<model>.keras of a family: the two from scratch, or the
        three on a backbone, which share their frozen layers and so are asked together
Makes   data/predictions/<family>: probabilities, averaged over `evaluate.views` views of a photo, how familiar it is,
        and each model's breeds, known photos' familiarity, parameters, size and hash;
        metrics/costs/predictions/<family>.json: milliseconds a photo
Alone   python -m stages.predictions scratch, or one of `backbones`
Opens   the test photos, for the first time; nothing is fitted or chosen here
"""

from stages.lib.core import paths
from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.core.errors import run
from stages.lib.core.models import parse_choices
from stages.lib.core.outputs import whole_folder, write_json
from stages.lib.core.params import load_params
from stages.lib.datasets.pictures import find_pictures, name_photos
from stages.lib.datasets.predictions import Predictions, write_models, write_predictions
from stages.lib.inference.costs import describe_file, time_networks
from stages.lib.inference.predictions import predict_pictures
from stages.lib.networks.graphs import average_views, join_networks
from stages.lib.networks.model_files import load_classifier

PLACES = {"val": paths.PREPARED / "val", "test": paths.PREPARED / "test", "unknown": paths.UNKNOWN}


def main() -> None:
    """Run the stage."""
    params = load_params()
    (family,) = parse_choices(__doc__, family=params.families)
    views = params.evaluate.views
    files = {model: paths.MODELS / f"{model}.keras" for model in params.families[family]}
    classifiers = {model: load_classifier(file) for model, file in files.items()}
    networks = {model: classifier.network for model, classifier in classifiers.items()}
    joined = average_views(join_networks(list(networks.values())), views)

    with whole_folder(paths.PREDICTIONS / family) as folder:
        for split, place in PLACES.items():
            pictures, breeds = find_pictures(place)
            answers = predict_pictures(joined, pictures, f"{family} on {split}")
            probabilities, familiarity = (
                {model: of_model[output] for model, of_model in zip(networks, answers, strict=True)}
                for output in (PROBABILITIES, FAMILIARITY)
            )
            photos = name_photos(pictures, place)
            write_predictions(folder, split, Predictions(photos, breeds, probabilities, familiarity))
        about = {
            model: {
                "breeds": classifier.breeds,
                "known_familiarity": classifier.known_familiarity,
                **describe_file(classifier.network, files[model]),
            }
            for model, classifier in classifiers.items()
        }
        write_models(folder, about)
    timed = time_networks(networks, views)
    write_json(paths.PREDICTION_COSTS / f"{family}.json", timed)
    milliseconds = ", ".join(f"{model} {each['milliseconds_batch_1']:.0f} ms a photo" for model, each in timed.items())
    print(f"predictions of {family}: {milliseconds}")


if __name__ == "__main__":
    run(main)
