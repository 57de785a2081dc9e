"""What a classifier's answers are worth: scores of one model, and whether two differ by more than luck."""

from itertools import combinations

import numpy as np
import pandas as pd
from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

BINS = 15  # of the calibration error, as in Guo et al.


def expected_calibration_error(right: np.ndarray, confidence: np.ndarray, bins: int = BINS) -> float:
    """How far confidence and accuracy are apart on average: 0 (best) to 1.

    Guo et al., On calibration of modern neural networks (ICML 2017), equation 3: the predictions are put in ``bins``
    intervals of equal width, open below, and |accuracy - mean confidence| is averaged over them, weighted by size.

    Args:
        right: bool (n,), whether each prediction is right.
        confidence: (n,) in [0, 1], the probability of each predicted breed.
        bins: how many intervals.
    """
    interval = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    # in a bin of size m, m / n * |right / m - confidence / m| is |right - confidence| / n
    differences = np.bincount(interval, weights=right.astype(float) - confidence, minlength=bins)
    return float(np.abs(differences).sum() / len(right))


def compute_scores(actual: np.ndarray, probabilities: np.ndarray, confidence_level: float) -> dict[str, float]:
    """Scores of one model, rounded to 6 digits.

    Args:
        actual: int (n,), the breeds' numbers in the order of the columns of ``probabilities``.
        probabilities: (n, breeds), rows sum to 1.
        confidence_level: of the interval around the accuracy, for example 0.95.

    Returns:
        ``accuracy`` (0 to 1, higher is better) with ``accuracy_low`` and ``accuracy_high``, the Wilson interval
        (Wilson, JASA 1927); ``macro_f1`` (0 to 1, higher is better), the mean over the breeds, where a breed that is
        never predicted counts 0; ``log_loss`` (nats, 0 and up, lower is better); ``ece``, see
        `expected_calibration_error`.
    """
    # float32 rows sum to 1 only nearly
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
    predicted = probabilities.argmax(axis=1)
    right = predicted == actual
    low, high = proportion_confint(right.sum(), len(right), alpha=1 - confidence_level, method="wilson")
    labels = np.arange(probabilities.shape[1])
    scores = {
        "accuracy": right.mean(),
        "accuracy_low": low,
        "accuracy_high": high,
        "macro_f1": f1_score(actual, predicted, labels=labels, average="macro", zero_division=0),
        "log_loss": log_loss(actual, probabilities, labels=labels),
        "ece": expected_calibration_error(right, probabilities.max(axis=1)),
    }
    return {name: round(float(score), 6) for name, score in scores.items()}


def classification_report(actual: np.ndarray, predicted: np.ndarray, breeds: list[str]) -> pd.DataFrame:
    """Precision, recall, F1 (0 to 1, higher is better; 0 where they would divide by zero) and support of each breed.

    ``actual`` and ``predicted`` are int (n,), places in ``breeds``. One row a breed, in their order.
    """
    labels = np.arange(len(breeds))
    columns = precision_recall_fscore_support(actual, predicted, labels=labels, zero_division=0)
    report = pd.DataFrame(dict(zip(("precision", "recall", "f1", "support"), columns, strict=True)))
    report.insert(0, "breed", breeds)
    return report


def compare_models(right: dict[str, np.ndarray]) -> pd.DataFrame:
    """Test every two models for a difference in accuracy on the same photos.

    Exact McNemar test (McNemar, Psychometrika 1947) on the photos that one of the two got right and the other wrong;
    p values corrected for the number of tests after Holm (Scandinavian Journal of Statistics 1979).

    Args:
        right: for each model, bool (n,), whether it is right about each photo.

    Returns:
        One row a pair: ``first``, ``second``, ``first_only`` and ``second_only`` (photos that only one got right),
        ``p`` and ``p_holm``.
    """
    rows = []
    for first, second in combinations(right, 2):
        table = pd.crosstab(
            pd.Categorical(right[first], [True, False]), pd.Categorical(right[second], [True, False]), dropna=False
        ).to_numpy()
        rows.append((first, second, table[0, 1], table[1, 0], mcnemar(table, exact=True).pvalue))
    comparisons = pd.DataFrame(rows, columns=["first", "second", "first_only", "second_only", "p"])
    comparisons["p_holm"] = multipletests(comparisons["p"], method="holm")[1]
    return comparisons


def in_words(comparison: pd.Series, confidence_level: float) -> str:
    """Say what a row of `compare_models` means."""
    first, second = comparison["first"], comparison["second"]
    p = f"p = {comparison['p_holm']:.2g}"
    if comparison["p_holm"] >= 1 - confidence_level:
        return f"{first} and {second} can't be told apart ({p})"
    if comparison["first_only"] > comparison["second_only"]:
        return f"{first} beats {second} ({p})"
    return f"{second} beats {first} ({p})"
