"""What one model's answers are worth."""

import numpy as np
import pandas as pd
from sklearn.metrics import (
    brier_score_loss,
    f1_score,
    log_loss,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)
from statsmodels.stats.proportion import proportion_confint

from stages.lib.evaluation.calibration import expected_calibration_error

RESAMPLES = 2000  # of the bootstrap
MANY_BREEDS = 10  # beyond which the five most probable breeds are worth a score
_RESAMPLES_AT_ONCE = 200  # which bounds the memory: 14 MB where 4,500 pairs of breeds are confused


def accuracy_interval(right: int, photos: int, confidence_level: float) -> tuple[float, float]:
    """Wilson's interval of a share (Wilson, JASA 1927): both ends between 0 and 1."""
    return proportion_confint(right, photos, alpha=1 - confidence_level, method="wilson")


def macro_f1_interval(
    actual: np.ndarray, predicted: np.ndarray, breeds: int, confidence_level: float, seed: int
) -> tuple[float, float]:
    """Bootstrap interval of macro F1, over the test photos: percentiles of `RESAMPLES` resamples.

    Efron and Tibshirani, An introduction to the bootstrap (1993), section 13.3. F1 depends on the photos through the
    counts of the confusion matrix alone, and to draw n photos with replacement is to draw those counts from a
    multinomial distribution; so that is drawn.

    Args:
        actual: int (n,) in [0, breeds).
        predicted: likewise.
        breeds: how many there are; one that a resample does not hold and no photo is taken for counts 0.
        confidence_level: for example 0.95.
        seed: of the resamples.
    """
    cells, counts = np.unique(actual * breeds + predicted, return_counts=True)
    generator = np.random.default_rng(seed)
    is_row, is_column = (np.eye(breeds)[place] for place in (cells // breeds, cells % breeds))
    is_right, is_either = is_row * is_column, is_row + is_column
    macro_f1 = []
    for _ in range(0, RESAMPLES, _RESAMPLES_AT_ONCE):
        drawn = generator.multinomial(len(actual), counts / len(actual), size=_RESAMPLES_AT_ONCE)
        drawn = drawn.astype(np.float64)  # whole numbers all the same, and NumPy multiplies them many times as fast
        macro_f1.append((2 * (drawn @ is_right) / np.maximum(drawn @ is_either, 1)).mean(axis=1))
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(np.concatenate(macro_f1), [tail, 1 - tail])
    return float(low), float(high)


def compute_scores(
    actual: np.ndarray, probabilities: np.ndarray, confidence_level: float, seed: int = 0
) -> dict[str, float]:
    """Scores of one model, rounded to 6 digits.

    Args:
        actual: int (n,), the breeds' numbers in the order of the columns of ``probabilities``.
        probabilities: (n, breeds), rows sum to 1.
        confidence_level: of the intervals, for example 0.95.
        seed: of the bootstrap.

    Returns:
        ``accuracy`` (0 to 1, higher is better) with ``accuracy_low`` and ``accuracy_high``, see `accuracy_interval`; of
        more than `MANY_BREEDS` breeds ``top5_accuracy``, the share of photos whose breed is among the five most
        probable; ``macro_f1`` (0 to 1, higher is better), the mean over the breeds, where a breed that is never
        predicted counts 0, with ``macro_f1_low`` and ``macro_f1_high``, see `macro_f1_interval`; ``log_loss`` (nats, 0
        and up, lower is better); ``brier``, the squared difference between probabilities and truth, summed over breeds
        (0 to 2, lower is better; Brier, Monthly Weather Review 1950); ``ece`` (0 to 1, lower is better), see
        `stages.lib.evaluation.calibration.expected_calibration_error`.
    """
    predicted = probabilities.argmax(axis=1)
    right = predicted == actual
    low, high = accuracy_interval(right.sum(), len(right), confidence_level)
    labels = np.arange(probabilities.shape[1])
    f1_low, f1_high = macro_f1_interval(actual, predicted, len(labels), confidence_level, seed)
    scores = {"accuracy": right.mean(), "accuracy_low": low, "accuracy_high": high}
    if len(labels) > MANY_BREEDS:
        scores["top5_accuracy"] = top_k_accuracy_score(actual, probabilities, k=5, labels=labels)
    scores |= {
        "macro_f1": f1_score(actual, predicted, labels=labels, average="macro", zero_division=0),
        "macro_f1_low": f1_low,
        "macro_f1_high": f1_high,
    }
    rounded = {name: round(float(score), 6) for name, score in scores.items()}
    return rounded | compute_losses(actual, probabilities)


def compute_losses(actual: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Those of `compute_scores` that a temperature changes: ``log_loss``, ``brier`` and ``ece``."""
    labels = np.arange(probabilities.shape[1])
    right = probabilities.argmax(axis=1) == actual
    # float32 rows sum to 1 only nearly
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
    losses = {
        "log_loss": log_loss(actual, probabilities, labels=labels),
        "brier": brier_score_loss(actual, probabilities, labels=labels, scale_by_half=False),
        "ece": expected_calibration_error(right, probabilities.max(axis=1)),
    }
    return {name: round(float(score), 6) for name, score in losses.items()}


def classification_report(actual: np.ndarray, predicted: np.ndarray, breeds: list[str]) -> pd.DataFrame:
    """Precision, recall, F1 (0 to 1, higher is better; 0 where they would divide by zero) and support of each breed.

    ``actual`` and ``predicted`` are int (n,), places in ``breeds``. One row a breed, in their order.
    """
    labels = np.arange(len(breeds))
    columns = precision_recall_fscore_support(actual, predicted, labels=labels, zero_division=0)
    report = pd.DataFrame(dict(zip(("precision", "recall", "f1", "support"), columns, strict=True)))
    report.insert(0, "breed", breeds)
    return report
