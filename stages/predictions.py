"""Ask trained models about the photos of val and test, once: whatever scores them later repeats no inference.

Reads   data/prepared/{val,test}, models/<model>.keras of a family: the two from scratch, or the three on a backbone,
        which share their frozen layers and so are asked together
Makes   data/predictions/<family>: probabilities, averaged over `evaluate.views` views of a photo, and each model's
        breeds, parameters, size and hash; metrics/costs/predictions/<family>.json: milliseconds a photo
Alone   python -m stages.predictions scratch, or one of `backbones`
Opens   the test photos, for the first time; nothing is fitted or chosen here
"""

from stages.lib.core import paths
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
        for split in ("val", "test"):
            pictures, breeds = find_pictures(paths.PREPARED / split)
            answers = predict_pictures(joined, pictures, f"{family} on {split}")
            photos = name_photos(pictures, paths.PREPARED / split)
            write_predictions(folder, split, Predictions(photos, breeds, dict(zip(networks, answers, strict=True))))
        about = {
            model: {"breeds": classifier.breeds, **describe_file(classifier.network, files[model])}
            for model, classifier in classifiers.items()
        }
        write_models(folder, about)
    timed = time_networks(networks, views)
    write_json(paths.PREDICTION_COSTS / f"{family}.json", timed)
    milliseconds = ", ".join(f"{model} {each['milliseconds_batch_1']:.0f} ms a photo" for model, each in timed.items())
    print(f"predictions of {family}: {len(photos)} test photos; {milliseconds}")


if __name__ == "__main__":
    run(main)
