"""What evaluate says beside the scores: the best model, what to beware of, charts and report."""

import json

import numpy as np
import pandas as pd
import pytest

from stages import evaluate
from stages.lib import paths, report, score_charts
from stages.lib.models import MODELS
from stages.lib.scores import classification_report, compare_models, compute_scores


def write_training_metrics(folder, values: dict[str, tuple[float, float]]) -> None:
    (folder / paths.METRICS).mkdir()
    for model, (accuracy, loss) in values.items():
        content = {"best_val_accuracy": accuracy, "best_val_loss": loss}
        (folder / paths.METRICS / f"{model}.json").write_text(json.dumps(content))


@pytest.mark.parametrize("best", MODELS)
def test_best_model_has_the_highest_accuracy_on_val(best, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_training_metrics(tmp_path, {model: (0.9 if model == best else 0.8, 0.5) for model in MODELS})
    assert evaluate.best_on_val() == best


def test_of_models_with_the_same_accuracy_on_val_the_one_with_the_lower_loss_is_best(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = dict.fromkeys(MODELS, (0.9, 0.5)) | {"transfer_plain": (0.9, 0.4), "finetune": (0.8, 0.1)}
    write_training_metrics(tmp_path, values)
    assert evaluate.best_on_val() == "transfer_plain"


WEIGHTS = "data/weights/VGG16-bundled.weights.h5"
OWN = ["beagle (1).jpg"] * 30
BREEDS = ["Beagle"] * 30


@pytest.mark.parametrize(
    ("photos", "breeds", "source", "weights", "expected"),
    [
        (OWN, BREEDS, "photos", "data/weights/VGG16-imagenet.weights.h5", []),
        (OWN, BREEDS, "data/sample", "w.weights.h5", ["These are drawn pictures"]),
        (OWN, BREEDS, "./data/../data/sample", "w.weights.h5", ["These are drawn pictures"]),
        (["n02085620_1.jpg.png", *OWN[1:]], BREEDS, "dogs", "w.weights.h5", ["These photos are ImageNet's"]),
        (OWN, BREEDS, "dogs", WEIGHTS, ["The backbone's weights are the bundled ones"]),
        (OWN, ["Beagle"] * 20 + ["Akita"] * 10, "dogs", "w.weights.h5", ["Fewer than 20 test photos"]),
    ],
)
def test_reader_is_warned_of_what_makes_numbers_mean_less(photos, breeds, source, weights, expected):
    warnings = evaluate.find_warnings(photos, breeds, source, weights)
    assert [warning[: len(start)] for warning, start in zip(warnings, expected, strict=True)] == expected


def test_warning_names_the_breeds_with_few_photos_and_no_other():
    (warning,) = evaluate.find_warnings(OWN, ["Beagle"] * 20 + ["Akita"] * 10, "dogs", "w.weights.h5")
    assert warning.endswith(": Akita (10).")


def test_confusion_matrix_shows_counts_with_actual_breeds_as_rows():
    actual, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0, 2])
    figure = score_charts.confusion_matrix(actual, predicted, ["a", "b", "c"], "title")
    axes = figure.axes[0]
    numbers = np.array([int(text.get_text()) for text in axes.texts]).reshape(3, 3)
    assert numbers.tolist() == [[1, 2, 0], [1, 1, 0], [0, 0, 1]]
    assert np.trace(numbers) / numbers.sum() == compute_scores(actual, np.eye(3)[predicted], 0.95)["accuracy"]
    colours = axes.collections[0].get_array().reshape(3, 3)
    np.testing.assert_allclose(colours, [[1 / 3, 2 / 3, 0], [1 / 2, 1 / 2, 0], [0, 0, 1]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("actual breed", "predicted breed")


def test_confusion_matrix_keeps_the_place_of_a_breed_that_never_comes_up():
    figure = score_charts.confusion_matrix(np.array([0, 2]), np.array([0, 2]), ["a", "b", "c"], "title")
    numbers = [int(text.get_text()) for text in figure.axes[0].texts]
    assert numbers == [1, 0, 0, 0, 0, 0, 0, 0, 1]


def test_report_is_one_page_that_escapes_names_and_needs_nothing_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    actual = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    scores = dict.fromkeys(MODELS, compute_scores(actual, probabilities, 0.95))
    comparisons = compare_models({model: probabilities.argmax(axis=1) == actual for model in MODELS})
    for picture in ("accuracy", "learning_curves", *(f"confusion/{model}" for model in MODELS)):
        path = paths.PLOTS / f"{picture}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")
    breeds = classification_report(actual, probabilities.argmax(axis=1), ["<b>Bold</b>", "Other"])
    verdicts = comparisons.assign(verdict="nobody knows")
    report.write_report(scores, "finetune", "4 test photos", 0.95, breeds, verdicts, ["Beware of <dogs>."])
    page = (paths.PLOTS / "report.html").read_text()
    assert "&lt;b&gt;Bold&lt;/b&gt;" in page
    assert "<b>Bold" not in page
    assert "Beware of &lt;dogs&gt;." in page
    assert "right on 75.0 % of the\n4 test photos" in page
    assert page.count("data:image/png;base64,") == 7
    assert page.count("<img") == page.count("alt=") == 7
    assert "http" not in page.replace("http://www.w3.org", "")


def test_every_committed_number_of_the_sample_comes_from_drawn_pictures_that_are_hard_enough(root):
    scores = json.loads((root / "metrics/evaluate.json").read_text())
    if not scores["drawn"]:
        pytest.skip("metrics/ is of other pictures than the drawn ones")
    accuracies = {model: scores[model]["accuracy"] for model in MODELS}
    assert max(accuracies.values()) < 1
    assert accuracies["scratch_plain"] < accuracies["finetune"] - 0.1
    predictions = [pd.read_csv(root / f"plots/predictions/{model}.csv")["predicted"].tolist() for model in MODELS]
    assert len(set(map(tuple, predictions))) == len(MODELS), "five models that answer differently"
