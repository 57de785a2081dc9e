"""Look where the best model looked: Grad-CAM on a few of its right and wrong answers on test.

Reads   metrics/evaluate.json: which model is best; models/<best>.keras, plots/predictions/<best>.csv,
        data/prepared/test
Makes   data/explained/photos.csv: the photos; data/explained/heat.npy: how much each place spoke for the named breed
Alone   python -m stages.explain
Opens   test photos whose answers are scored already; nothing is fitted or chosen here
"""

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
from stages.lib.evaluation.galleries import EXPLAINED, surest_answers, worst_errors
from stages.lib.inference.grad_cam import grad_cam
from stages.lib.networks.graphs import only
from stages.lib.networks.model_files import load_classifier


def main() -> None:
    """Run the stage."""
    best = find_best(read_evaluation())
    classifier = load_classifier(paths.MODELS / f"{best}.keras")
    predictions = read_csv(paths.PREDICTION_TABLES / f"{best}.csv")
    answers = predictions[["photo", "actual", "predicted", "confidence"]]
    photos = pd.concat([surest_answers(answers), worst_errors(answers, EXPLAINED)])
    files = [paths.PREPARED / "test" / f"{photo}.png" for photo in photos["photo"]]
    pictures = np.stack([read_picture(file, classifier.image_size) for file in files])
    heats = grad_cam(only(classifier.network, PROBABILITIES), pictures, encode(photos["predicted"], classifier.breeds))
    with whole_folder(paths.EXPLAINED) as folder:
        write_csv(photos, folder / "photos.csv")
        np.save(folder / "heat.npy", heats)
    print(f"explain: {len(photos)} answers of {best}")


if __name__ == "__main__":
    run(main)
