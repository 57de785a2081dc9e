"""Look where the best model looked: Grad-CAM on a few of its right and wrong answers on test, and what is like what.

Reads   metrics/evaluate.json: which model is best, and on which backbone; models/<best>.keras, plots/familiarity.csv,
        plots/predictions/<best>.csv, data/prepared/{test,train}, data/prepared_unknown; where it is on a backbone,
        data/features/<backbone>/plain, with what tells which row shows which photo
Makes   data/explained/photos.csv: the photos; data/explained/heat.npy: how much each place spoke for the named breed;
        data/explained/nearest.csv: of photos that pass for known and of test photos that don't, the training photos
        most like them; none for a CNN from scratch
Alone   python -m stages.explain
Opens   test photos whose answers are scored already; nothing is fitted or chosen here
"""

from typing import Any

import numpy as np
import pandas as pd

from stages.lib.core import paths
from stages.lib.core.classifier import PROBABILITIES
from stages.lib.core.encoding import encode
from stages.lib.core.errors import run
from stages.lib.core.evaluated import find_best, read_evaluation
from stages.lib.core.outputs import whole_folder
from stages.lib.core.tables import read_csv, write_csv
from stages.lib.datasets.pictures import read_picture
from stages.lib.evaluation.galleries import EXPLAINED, mistaken_familiarity, surest_answers, worst_errors
from stages.lib.inference.grad_cam import grad_cam
from stages.lib.inference.nearest import read_training_photos
from stages.lib.networks.graphs import only
from stages.lib.networks.model_files import load_classifier

PLACES = {"test": paths.PREPARED / "test", "unknown": paths.UNKNOWN}


def list_nearest(network: Any, backbone: str, side: int, photos: pd.DataFrame) -> pd.DataFrame:
    """One row a training photo that is most like one of ``photos``: split, photo, nearest (its picture) and breed."""
    rows: list[tuple[str, str, str, str]] = []
    if len(photos):
        files = [PLACES[split] / f"{photo}.png" for split, photo in zip(photos["split"], photos["photo"], strict=True)]
        pictures = np.stack([read_picture(file, side) for file in files])
        found = read_training_photos(network, backbone).most_alike(pictures)
        for split, photo, alike in zip(photos["split"], photos["photo"], found, strict=True):
            rows += [(split, photo, each.file.relative_to(paths.PREPARED).as_posix(), each.breed) for each in alike]
    return pd.DataFrame(rows, columns=["split", "photo", "nearest", "breed"])


def main() -> None:
    """Run the stage."""
    evaluation = read_evaluation()
    best, backbone = find_best(evaluation), evaluation["best_backbone"]
    classifier = load_classifier(paths.MODELS / f"{best}.keras")
    predictions = read_csv(paths.PREDICTION_TABLES / f"{best}.csv")
    answers = predictions[["photo", "actual", "predicted", "confidence"]]
    photos = pd.concat([surest_answers(answers), worst_errors(answers, EXPLAINED)])
    files = [paths.PREPARED / "test" / f"{photo}.png" for photo in photos["photo"]]
    pictures = np.stack([read_picture(file, classifier.image_size) for file in files])
    heats = grad_cam(only(classifier.network, PROBABILITIES), pictures, encode(photos["predicted"], classifier.breeds))
    mistaken = mistaken_familiarity(read_csv(paths.PLOTS / "familiarity.csv").query("model == @best"))
    shown = mistaken if backbone else mistaken.head(0)
    nearest = list_nearest(classifier.network, backbone, classifier.image_size, shown)
    with whole_folder(paths.EXPLAINED) as folder:
        write_csv(nearest, folder / "nearest.csv")
        write_csv(photos, folder / "photos.csv")
        np.save(folder / "heat.npy", heats)
    print(f"explain: {len(photos)} answers of {best}")


if __name__ == "__main__":
    run(main)
