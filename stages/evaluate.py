"""Open the test split, once, and compare the five models on it.

Reads   data/prepared, models/*.keras, data/features/plain (for suspicious labels), plots/history/*.csv,
        metrics/costs/<model>.json (training seconds), metrics/data_size.json and plots/data_size.png
Makes   metrics/evaluate.json: all scores of each model, which is best, what to beware of;
        metrics/{val,test}/<model>.json: the few of them for `dvc metrics show`;
        metrics/costs/evaluate.csv: parameters, size, seconds; the only file of this stage that differs from run to run;
        plots/predictions/<model>.csv,
        plots/{classification_report,comparisons,confusion,reliability,risk_coverage}.csv;
        plots/suspicious_labels.csv: photos of train and val to look at; the charts of these, and plots/report.html
Alone   python -m stages.evaluate
Fits    a temperature and a confidence threshold for each model, and chooses the best one, on val alone; all
        scores are of probabilities averaged over `evaluate.views` views of a photo
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.lib import calibration, charts, costs, data_size, galleries, label_errors, paths, score_charts, selective
from stages.lib.caveats import describe_test, find_caveats, is_drawn
from stages.lib.datasets import encode, read_features
from stages.lib.errors import run
from stages.lib.grad_cam import grad_cam, overlay
from stages.lib.model_files import Classifier, load_classifier
from stages.lib.models import MODELS, VARIANTS
from stages.lib.outputs import whole_file, whole_folder, write_json
from stages.lib.params import Params, load_params
from stages.lib.pictures import find_pictures, read_picture
from stages.lib.predictions import join_networks, predict_pictures
from stages.lib.report import embed_chart, embed_photo, percent, write_report
from stages.lib.scores import classification_report, compare_models, compute_losses, compute_scores
from stages.lib.view_averaging import average_views

# of each model, for `dvc metrics show`: with one more, it would not fit 120 columns
HEADLINES = ["accuracy", "accuracy_low", "accuracy_high", "macro_f1", "log_loss", "ece"]
CHARTS = ("accuracy", "learning_curves", "recall", "reliability", "risk_coverage", "data_size")
SHOWN_LABELS = 24  # suspicious ones in the report; the CSV has all


class Split(NamedTuple):
    """The photos of a split."""

    files: list[Path]
    photos: list[str]  # as the manifest names them
    breeds: list[str]


class Judged(NamedTuple):
    """What there is to say about one model."""

    scores: dict[str, Any]  # of test, with what was fitted on val
    val_scores: dict[str, float]
    predictions: pd.DataFrame  # one row a test photo
    report: pd.DataFrame  # one row a breed
    right: np.ndarray  # bool (test photos,)
    reliability: dict[str, pd.DataFrame]  # without temperature scaling, and with it
    risk_coverage: pd.DataFrame


def read_split(split: str) -> Split:
    """Find the pictures of a split."""
    folder = paths.PREPARED / split
    files, breeds = find_pictures(folder)
    return Split(files, [file.relative_to(folder).with_suffix("").as_posix() for file in files], breeds)


def tabulate(split: Split, probabilities: np.ndarray, breeds: list[str]) -> pd.DataFrame:
    """One row a photo: photo, actual, predicted, confidence, and the probability of each breed."""
    table = pd.DataFrame(
        {
            "photo": split.photos,
            "actual": split.breeds,
            "predicted": np.array(breeds)[probabilities.argmax(axis=1)],
            "confidence": probabilities.max(axis=1),
        }
    )
    return table.join(pd.DataFrame(probabilities, columns=breeds))


def fit_on_val(actual: np.ndarray, probabilities: np.ndarray, target_accuracy: float) -> dict[str, Any]:
    """The temperature, and the threshold with the share of val that it answers."""
    right, confidence = probabilities.argmax(axis=1) == actual, probabilities.max(axis=1)
    threshold = selective.find_threshold(right, confidence, target_accuracy)
    return {
        "temperature": round(calibration.fit_temperature(actual, probabilities), 6),
        "threshold": threshold,
        "val_coverage": round(float(selective.is_sure(confidence, threshold).mean()), 6),
    }


def judge(
    breeds: list[str], val: Split, on_val: np.ndarray, test: Split, on_test: np.ndarray, params: Params
) -> Judged:
    """Score a model's probabilities (photos, breeds) of the two splits."""
    level = params.evaluate.confidence_level
    val_actual, actual = encode(val.breeds, breeds), encode(test.breeds, breeds)
    predicted, confidence = on_test.argmax(axis=1), on_test.max(axis=1)
    right = predicted == actual
    fitted = fit_on_val(val_actual, on_val, params.evaluate.target_accuracy)
    scaled = calibration.scale(on_test, fitted["temperature"])
    scaled_losses = compute_losses(actual, scaled)
    sure = selective.is_sure(confidence, fitted["threshold"])
    scores = compute_scores(actual, on_test, level, params.seed) | fitted
    scores |= {
        "coverage": round(float(sure.mean()), 6),
        "selective_accuracy": round(float(right[sure].mean()), 6) if sure.any() else None,
        **{f"scaled_{name}": loss for name, loss in scaled_losses.items()},
    }
    return Judged(
        scores,
        compute_scores(val_actual, on_val, level, params.seed),
        tabulate(test, on_test, breeds),
        classification_report(actual, predicted, breeds),
        right,
        {
            "without temperature": calibration.reliability(right, confidence),
            "with temperature": calibration.reliability(right, scaled.max(axis=1)),
        },
        selective.risk_coverage(right, confidence),
    )


def judge_all(classifiers: dict[str, Classifier], val: Split, test: Split, params: Params) -> dict[str, Judged]:
    """Let all models answer together, and judge each."""
    joined = average_views(
        join_networks([classifier.network for classifier in classifiers.values()]), params.evaluate.views
    )
    answers = zip(
        classifiers.items(),
        predict_pictures(joined, val.files, "val"),
        predict_pictures(joined, test.files, "test"),
        strict=True,
    )
    judged = {}
    for (model, classifier), on_val, on_test in answers:
        judged[model] = judge(classifier.breeds, val, on_val, test, on_test, params)
        judged[model].scores.update(costs.size(classifier.network, paths.MODELS / f"{model}.keras"))
    return judged


def best_on_val(scores: dict[str, dict[str, float]]) -> str:
    """The model with the highest accuracy on val; of equals, the one with the lowest log loss there."""
    return max(MODELS, key=lambda model: (scores[model]["accuracy"], -scores[model]["log_loss"]))


def measure_costs(classifiers: dict[str, Classifier], judged: dict[str, Judged], views: int) -> pd.DataFrame:
    """One row a model: accuracy, parameters, size on disk, training seconds, milliseconds a photo."""
    timed = costs.time_networks({model: classifier.network for model, classifier in classifiers.items()}, views)
    rows = []
    for model in MODELS:
        scores = judged[model].scores
        trained = json.loads((paths.COSTS / f"{model}.json").read_text(encoding="utf-8"))
        row = {"model": model, **{name: scores[name] for name in ("accuracy", "parameters", "megabytes")}}
        row["training_seconds"] = trained["training_seconds"]
        rows.append(row | {f"milliseconds_batch_{size}": value for size, value in timed[model].items()})
    return pd.DataFrame(rows)


def find_suspicious_labels(manifest: pd.DataFrame, seed: int) -> pd.DataFrame | None:
    """Rank the photos of train and val whose label may be wrong; None where a breed has too few to tell.

    Args:
        manifest: data/prepared/manifest.csv, of which the columns file and group are used.
        seed: of the folds.

    Returns:
        what `label_errors.find_suspicious` gives; None where a breed has too few photos to tell.

    Raises `ValueError` where the features' breeds are not in the order of the prepared photos, which only a fault of
    ours or an edited file would bring about.
    """
    photos, features = [], []
    for name in ("train", "val"):
        found, breeds = read_features(paths.FEATURES / "plain", name)
        split = read_split(name)
        if split.breeds != breeds:
            raise ValueError(f"data/features/plain/{name}.csv does not follow the order of data/prepared/{name}")
        features.append(found[:])
        photos.append(pd.DataFrame({"photo": split.photos, "split": name, "labelled": breeds}))
    table = pd.concat(photos, ignore_index=True)
    breeds = sorted(table["labelled"].unique())
    labels = encode(table["labelled"], breeds)
    groups = table["photo"].map(manifest.set_index("file")["group"]).astype(int).to_numpy()
    if not label_errors.can_be_judged(labels, groups):
        return None
    probabilities = label_errors.out_of_fold_probabilities(np.concatenate(features), labels, groups, seed)
    return label_errors.find_suspicious(table, probabilities, breeds)


def stack(tables: dict[Any, pd.DataFrame], names: list[str]) -> pd.DataFrame:
    """All of ``tables``, one below the other; their keys become the first columns, called ``names``."""
    return pd.concat(tables, names=names).reset_index(names).reset_index(drop=True)


def write_csv(table: pd.DataFrame, path: Path, float_format: str = "%.6f") -> None:
    """Write a table without its index."""
    with whole_file(path) as partial:
        table.to_csv(partial, index=False, float_format=float_format)


def write_tables(judged: dict[str, Judged], comparisons: pd.DataFrame, suspicious: pd.DataFrame | None) -> None:
    """Write the CSV files under plots."""
    for model, found in judged.items():
        write_csv(found.predictions, paths.PREDICTIONS / f"{model}.csv")
    reliability = {
        (model, scaling): points for model, found in judged.items() for scaling, points in found.reliability.items()
    }
    curves = {model: found.risk_coverage for model, found in judged.items()}
    write_csv(join_reports(judged), paths.PLOTS / "classification_report.csv")
    write_csv(join_confusions(judged), paths.PLOTS / "confusion.csv")
    write_csv(stack(reliability, ["model", "scaling"]), paths.PLOTS / "reliability.csv")
    write_csv(stack(curves, ["model"]), paths.PLOTS / "risk_coverage.csv")
    write_csv(comparisons, paths.PLOTS / "comparisons.csv", float_format="%.6g")  # p values may be tiny
    none = pd.DataFrame(columns=label_errors.COLUMNS)
    write_csv(none if suspicious is None else suspicious, paths.PLOTS / "suspicious_labels.csv")


def join_reports(judged: dict[str, Judged]) -> pd.DataFrame:
    """The classification reports of all models: model, breed, precision, recall, f1, support."""
    return stack({model: found.report for model, found in judged.items()}, ["model"])


def join_confusions(judged: dict[str, Judged]) -> pd.DataFrame:
    """The cells of all confusion matrices that hold photos, and the diagonals: model, actual, predicted, photos."""
    matrices = {}
    for model, found in judged.items():
        breeds = found.report["breed"]
        on_diagonal = pd.DataFrame({"actual": breeds, "predicted": breeds})
        cells = pd.concat([found.predictions[["actual", "predicted"]], on_diagonal]).groupby(["actual", "predicted"])
        photos = cells.size().rename("photos").reset_index()
        photos["photos"] -= photos["actual"] == photos["predicted"]
        matrices[model] = photos
    return stack(matrices, ["model"])


def write_metrics(
    judged: dict[str, Judged], best: str, views: int, photos: int, drawn: bool, caveats: list[str]
) -> None:
    """Write the JSON files under metrics."""
    for folder, scores in (
        ("val", {model: found.val_scores for model, found in judged.items()}),
        ("test", {model: found.scores for model, found in judged.items()}),
    ):
        with whole_folder(paths.METRICS / folder) as partial:
            for model in MODELS:
                write_json(partial / f"{model}.json", {name: scores[model][name] for name in HEADLINES})
    scores = {model: found.scores for model, found in judged.items()}
    write_json(
        paths.METRICS / "evaluate.json",
        {**scores, "best": best, "views": views, "test_photos": photos, "drawn": drawn, "caveats": caveats},
    )


def draw_charts(judged: dict[str, Judged], level: float, subject: str) -> None:
    """Draw the PNG files under plots."""
    for model, found in judged.items():
        breeds = found.report["breed"].tolist()
        actual, predicted = (encode(found.predictions[name], breeds) for name in ("actual", "predicted"))
        matrix = score_charts.confusion(actual, predicted, breeds, f"{model}: {subject}")
        charts.save(matrix, paths.PLOTS / "confusion" / f"{model}.png")
    histories = {model: pd.read_csv(paths.HISTORY / f"{model}.csv") for model in MODELS}
    scores = {model: found.scores for model, found in judged.items()}
    figures = {
        "accuracy": score_charts.accuracies(scores, level, subject),
        "learning_curves": score_charts.learning_curves(histories),
        "reliability": score_charts.reliability({model: found.reliability for model, found in judged.items()}),
        "risk_coverage": score_charts.risk_coverage(
            {model: found.risk_coverage for model, found in judged.items()}, subject
        ),
        "recall": score_charts.recalls(join_reports(judged), subject),
    }
    for name, figure in figures.items():
        charts.save(figure, paths.PLOTS / f"{name}.png")


def with_pictures(rows: pd.DataFrame, files: dict[str, Path]) -> list[dict[str, Any]]:
    """The rows of a table that names photos, with the pictures."""
    return [{**row, "picture": embed_photo(files[row["photo"]])} for row in rows.to_dict("records")]


def explain(classifier: Classifier, rows: pd.DataFrame, files: dict[str, Path]) -> list[dict[str, Any]]:
    """The rows with their pictures, and over them where the network looked."""
    if rows.empty:
        return []
    pictures = np.stack([read_picture(files[photo]) for photo in rows["photo"]])
    heats = grad_cam(classifier.network, pictures, encode(rows["predicted"], classifier.breeds))
    return [
        {**row, "heat": embed_photo(overlay(picture, heat))}
        for row, picture, heat in zip(with_pictures(rows, files), pictures, heats, strict=True)
    ]


def show_results(judged: dict[str, Judged], best: str, comparisons: pd.DataFrame) -> dict[str, Any]:
    """The numbers and charts of the report."""
    plain, augmented = VARIANTS
    augmentation = comparisons["first"].str.replace(plain, augmented) == comparisons["second"]
    return {
        "scores": {model: found.scores for model, found in judged.items()},
        "comparisons": comparisons.assign(augmentation=augmentation).to_dict("records"),
        "breeds": judged[best].report.to_dict("records"),
        "many_breeds": len(judged[best].report) > score_charts.MATRIX_BREEDS,
        "charts": {name: embed_chart(paths.PLOTS / f"{name}.png") for name in CHARTS},
        "matrices": {model: embed_chart(paths.PLOTS / "confusion" / f"{model}.png") for model in judged},
    }


def show_photos(classifier: Classifier, predictions: pd.DataFrame, test: Split) -> dict[str, Any]:
    """The photos that the report shows of the best model."""
    files = dict(zip(test.photos, test.files, strict=True))
    rows = predictions[["photo", "actual", "predicted", "confidence"]]
    pairs = galleries.confused_pairs(rows).to_dict("records")
    for pair in pairs:
        sides = ((pair["one"], pair["other"]), (pair["other"], pair["one"]))
        pair["sides"] = [with_pictures(galleries.photos_of_pair(rows, *side), files) for side in sides]
    return {
        "pairs": pairs,
        "worst": with_pictures(galleries.worst_errors(rows), files),
        "explained": {
            "Right": explain(classifier, galleries.surest_answers(rows), files),
            "Wrong": explain(classifier, galleries.worst_errors(rows, galleries.EXPLAINED), files),
        },
    }


def show_suspicious(found: pd.DataFrame | None) -> dict[str, Any]:
    """What the report says and shows of suspicious labels."""
    if found is None:
        folds = label_errors.FOLDS
        answer = (
            f"Not looked for: it takes {folds} photos of each breed in train and val; near duplicates count as one."
        )
        return {"suspicious_answer": answer, "suspicious": []}
    shown = found.head(SHOWN_LABELS)
    files = {row.photo: paths.PREPARED / row.split / f"{row.photo}.png" for row in shown.itertuples()}
    answer = "Of the photos of train and val, none."
    if len(found):
        some = f", of which the first {len(shown)} are shown" if len(shown) < len(found) else ""
        answer = (
            f"{len(found)} photos of train and val{some}, most suspicious first (plots/suspicious_labels.csv): what a "
            "logistic regression on the frozen network's features thinks of photos that it was not fitted to."
        )
    return {"suspicious_answer": answer, "suspicious": with_pictures(shown, files)}


def answer_in_a_sentence(
    best: str, scores: dict[str, Any], comparisons: pd.DataFrame, subject: str, level: float
) -> str:
    """Which model to take, how good it is, and whether that is more than luck."""
    mine = comparisons[(comparisons["first"] == best) | (comparisons["second"] == best)]
    others = mine["first"].where(mine["first"] != best, mine["second"])
    decided = mine["p_holm"] < 1 - level
    ahead = (mine["difference"] > 0) == (mine["first"] == best)
    parts = [
        (f"beats {' and '.join(others[decided & ahead])}", (decided & ahead).any()),
        (f"is beaten by {' and '.join(others[decided & ~ahead])}", (decided & ~ahead).any()),
        (f"can't be told apart from {' and '.join(others[~decided])}", (~decided).any()),
    ]
    accuracy, low, high = (percent(scores[name]) for name in ("accuracy", "accuracy_low", "accuracy_high"))
    return (
        f"{best}, chosen on val, is right on {accuracy} of the {subject} "
        f"({100 * level:g} % interval: {low} to {high}); it {' and '.join(words for words, holds in parts if holds)}."
    )


def hash_of_test(manifest: pd.DataFrame) -> str:
    """The sha256 of the test photos' own, one a line, in the manifest's order."""
    digests = manifest.loc[manifest["split"] == "test", "sha256"]
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def main() -> None:
    """Run the stage."""
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it takes the fifth model for a mistake of ours
    params = load_params()
    level = params.evaluate.confidence_level
    manifest = pd.read_csv(paths.PREPARED / "manifest.csv", dtype=str, keep_default_na=False)
    val, test = read_split("val"), read_split("test")
    classifiers = {model: load_classifier(paths.MODELS / f"{model}.keras") for model in MODELS}
    judged = judge_all(classifiers, val, test, params)
    best = best_on_val({model: found.val_scores for model, found in judged.items()})
    more_photos = json.loads((paths.METRICS / "data_size.json").read_text(encoding="utf-8"))
    comparisons = compare_models({model: found.right for model, found in judged.items()}, level)
    suspicious = find_suspicious_labels(manifest, params.seed)
    support = judged[best].report.set_index("breed")["support"].to_dict()
    caveats = find_caveats(test.photos, support, params.data.source, params.backbone.weights)
    subject = describe_test(len(test.files), params.data.source, test.photos)
    write_tables(judged, comparisons, suspicious)
    write_metrics(judged, best, params.evaluate.views, len(test.files), is_drawn(params.data.source), caveats)
    write_csv(measure_costs(classifiers, judged, params.evaluate.views), paths.COSTS / "evaluate.csv")
    draw_charts(judged, level, subject)
    answer = answer_in_a_sentence(best, judged[best].scores, comparisons, subject, level)
    results = {
        "answer": answer,
        "caveats": caveats,
        "subject": subject,
        "best": best,
        "test_hash": hash_of_test(manifest),
        **show_results(judged, best, comparisons),
        **show_photos(classifiers[best], judged[best].predictions, test),
        "data_size_answer": data_size.in_words(more_photos, level),
        **show_suspicious(suspicious),
    }
    write_report(results, params)
    print(answer, *caveats, f"See {paths.PLOTS / 'report.html'}", sep="\n")


if __name__ == "__main__":
    run(main)
