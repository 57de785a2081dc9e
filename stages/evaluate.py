"""Open the test split, once, and compare the five models on it.

Reads   data/prepared/test, models/*.keras, metrics/<model>.json (to choose the best on val), plots/history/*.csv
Makes   metrics/evaluate.json, plots/predictions/<model>.csv, plots/classification_report.csv, plots/comparisons.csv,
        plots/confusion/<model>.png, plots/learning_curves.png, plots/accuracy.png, plots/report.html
Alone   python -m stages.evaluate
"""

import json
import logging
import re
from pathlib import Path

import numpy as np
import pandas as pd

from stages.lib import charts, paths, score_charts
from stages.lib.datasets import encode
from stages.lib.errors import run
from stages.lib.model_files import load_classifier
from stages.lib.models import MODELS
from stages.lib.outputs import whole_file, write_json
from stages.lib.params import load_params
from stages.lib.pictures import find_pictures, read_pictures
from stages.lib.report import write_report
from stages.lib.scores import classification_report, compare_models, compute_scores, in_words

TEST = paths.PREPARED / "test"
SYNSET = re.compile(r"n\d{8}_\d+")  # how ImageNet names its photos
BUNDLED = "VGG16-bundled.weights.h5"
FEW_PHOTOS = 20


def predict_test(
    model: str, files: list[Path], pictures: np.ndarray, actual: list[str]
) -> tuple[pd.DataFrame, list[str]]:
    """One row a test photo (photo, actual, predicted, confidence, the probability of each breed), and the breeds."""
    classifier = load_classifier(paths.MODELS / f"{model}.keras")
    probabilities = classifier.network.predict(pictures, batch_size=32, verbose=0)
    breeds = np.array(classifier.breeds)
    table = pd.DataFrame(
        {
            "photo": [file.relative_to(TEST).with_suffix("").as_posix() for file in files],
            "actual": actual,
            "predicted": breeds[probabilities.argmax(axis=1)],
            "confidence": probabilities.max(axis=1),
        }
    )
    return table.join(pd.DataFrame(probabilities, columns=classifier.breeds)), classifier.breeds


def best_on_val() -> str:
    """The model with the highest accuracy on val; of equals, the one with the lowest log loss there."""
    found = {model: json.loads((paths.METRICS / f"{model}.json").read_text()) for model in MODELS}
    return max(MODELS, key=lambda model: (found[model]["best_val_accuracy"], -found[model]["best_val_loss"]))


def is_drawn(source: str) -> bool:
    """Whether the pictures are the drawn ones that come with the pipeline."""
    return Path(source).resolve() == paths.SAMPLE.resolve()


def find_warnings(photos: list[str], breeds: list[str], source: str, weights: str) -> list[str]:
    """What a reader has to know before believing the numbers."""
    warnings = []
    if is_drawn(source):
        warnings.append(
            "These are drawn pictures, not photographs: the numbers show that the pipeline works, and nothing of how "
            "well it would tell real dogs apart."
        )
    if any(SYNSET.search(photo) for photo in photos):
        warnings.append(
            "These photos are ImageNet's, and the backbone was pretrained on ImageNet: it has most likely seen the "
            "test photos. Expect less of transfer and finetune on photos of your own; scratch is not concerned."
        )
    if Path(weights).name == BUNDLED:
        warnings.append(
            "The backbone's weights are the bundled ones: ImageNet's, then fine-tuned on MRI scans. ImageNet's own are "
            "one parameter away (backbone.weights)."
        )
    counts = pd.Series(breeds).value_counts().sort_index()
    few = ", ".join(f"{breed} ({count})" for breed, count in counts[counts < FEW_PHOTOS].items())
    if few:
        warnings.append(f"Fewer than {FEW_PHOTOS} test photos, so that a breed's own numbers mean little: {few}.")
    return warnings


def write_csv(table: pd.DataFrame, path: Path, float_format: str = "%.6f") -> None:
    """Write a table without its index."""
    with whole_file(path) as partial:
        table.to_csv(partial, index=False, float_format=float_format)


def main() -> None:
    """Run the stage."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it takes the fifth model for a mistake of ours
    params = load_params()
    level = params.evaluate.confidence_level
    files, breeds = find_pictures(TEST)
    pictures = read_pictures(files)
    drawn = is_drawn(params.data.source)
    subject = f"{len(files)} drawn test pictures" if drawn else f"{len(files)} test photos"

    scores, reports, right, histories = {}, [], {}, {}
    for model in MODELS:
        predictions, names = predict_test(model, files, pictures, breeds)
        write_csv(predictions, paths.PREDICTIONS / f"{model}.csv")
        actual, predicted = encode(breeds, names), encode(predictions["predicted"], names)
        scores[model] = compute_scores(actual, predictions[names].to_numpy(), level)
        reports.append(classification_report(actual, predicted, names).assign(model=model))
        right[model] = actual == predicted
        histories[model] = pd.read_csv(paths.HISTORY / f"{model}.csv")
        matrix = score_charts.confusion_matrix(actual, predicted, names, f"{model}: {subject}")
        charts.save(matrix, paths.PLOTS / "confusion" / f"{model}.png")
        print(f"{model}: accuracy {scores[model]['accuracy']:.3f} on {subject}")

    report = pd.concat(reports)[["model", "breed", "precision", "recall", "f1", "support"]]
    comparisons = compare_models(right)
    comparisons["verdict"] = [in_words(row, level) for _, row in comparisons.iterrows()]
    write_csv(report, paths.PLOTS / "classification_report.csv")
    write_csv(comparisons, paths.PLOTS / "comparisons.csv", float_format="%.6g")  # p values may be tiny
    charts.save(score_charts.learning_curves(histories), paths.PLOTS / "learning_curves.png")
    charts.save(score_charts.accuracies(scores, level, subject), paths.PLOTS / "accuracy.png")
    best = best_on_val()
    warnings = find_warnings([file.name for file in files], breeds, params.data.source, params.backbone.weights)
    write_json(paths.METRICS / "evaluate.json", {**scores, "best": best, "test_photos": len(files), "drawn": drawn})
    write_report(scores, best, subject, level, report[report["model"] == best], comparisons, warnings)
    print(f"best on val: {best}, {scores[best]['accuracy']:.3f} on test; see {paths.PLOTS / 'report.html'}")


if __name__ == "__main__":
    run(main)
