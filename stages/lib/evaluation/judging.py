"""All that there is to say about one model, from its probabilities on val and test."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.lib.core.encoding import encode
from stages.lib.core.params import Evaluate
from stages.lib.evaluation import calibration, selective
from stages.lib.evaluation.scores import classification_report, compute_losses, compute_scores


class Judged(NamedTuple):
    """What there is to say about one model."""

    scores: dict[str, Any]  # of test, with what was fitted on val
    val_scores: dict[str, float]
    report: pd.DataFrame  # one row a breed
    confusion: pd.DataFrame  # one row a cell of the matrix
    right: np.ndarray  # bool (test photos,)
    reliability: dict[str, pd.DataFrame]  # without temperature scaling, and with it
    risk_coverage: pd.DataFrame


def fit_on_val(actual: np.ndarray, probabilities: np.ndarray, target_accuracy: float) -> dict[str, Any]:
    """The temperature, and the threshold with the share of val that it answers."""
    right, confidence = probabilities.argmax(axis=1) == actual, probabilities.max(axis=1)
    threshold = selective.find_threshold(right, confidence, target_accuracy)
    return {
        "temperature": round(calibration.fit_temperature(actual, probabilities), 6),
        "threshold": threshold,
        "val_coverage": round(float(selective.is_sure(confidence, threshold).mean()), 6),
    }


def confusion_cells(actual: list[str], predicted: np.ndarray, breeds: list[str]) -> pd.DataFrame:
    """The cells of a confusion matrix that hold photos, and its diagonal: actual, predicted, photos."""
    diagonal = pd.DataFrame({"actual": breeds, "predicted": breeds})
    photos = pd.DataFrame({"actual": actual, "predicted": predicted})
    cells = pd.concat([photos, diagonal]).groupby(["actual", "predicted"]).size().rename("photos").reset_index()
    cells["photos"] -= cells["actual"] == cells["predicted"]
    return cells


def judge(
    breeds: list[str],
    val_actual: list[str],
    on_val: np.ndarray,
    test_actual: list[str],
    on_test: np.ndarray,
    settings: Evaluate,
    seed: int,
) -> Judged:
    """Score a model.

    Args:
        breeds: in the order of the probabilities.
        val_actual: the breed of each photo of val.
        on_val: (photos, breeds), probabilities.
        test_actual: the breed of each photo of test.
        on_test: (photos, breeds), likewise.
        settings: `confidence_level` and `target_accuracy` are used.
        seed: of the bootstrap.
    """
    level = settings.confidence_level
    labels, actual = encode(val_actual, breeds), encode(test_actual, breeds)
    predicted, confidence = on_test.argmax(axis=1), on_test.max(axis=1)
    right = predicted == actual
    fitted = fit_on_val(labels, on_val, settings.target_accuracy)
    scaled = calibration.scale(on_test, fitted["temperature"])
    scaled_losses = compute_losses(actual, scaled)
    sure = selective.is_sure(confidence, fitted["threshold"])
    scores = compute_scores(actual, on_test, level, seed) | fitted
    scores |= {
        "coverage": round(float(sure.mean()), 6),
        "selective_accuracy": round(float(right[sure].mean()), 6) if sure.any() else None,
        **{f"scaled_{name}": loss for name, loss in scaled_losses.items()},
    }
    return Judged(
        scores,
        compute_scores(labels, on_val, level, seed),
        classification_report(actual, predicted, breeds),
        confusion_cells(test_actual, np.array(breeds)[predicted], breeds),
        right,
        {
            "without temperature": calibration.reliability(right, confidence),
            "with temperature": calibration.reliability(right, scaled.max(axis=1)),
        },
        selective.risk_coverage(right, confidence),
    )
