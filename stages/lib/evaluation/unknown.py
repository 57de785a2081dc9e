"""What a threshold on familiarity does: to photos of the breeds that a model knows, and to photos of anything else."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_curve

from stages.lib.familiarity.conformal import find_threshold, is_unknown, p_values, turned_away_interval
from stages.lib.familiarity.shares import share_of

MOST_POINTS = 500  # of a curve, as Git keeps it


def auc_interval(known: np.ndarray, unknown: np.ndarray, confidence_level: float) -> tuple[float, float, float]:
    """The area under the ROC curve of familiarity, known photos against unknown ones, and its interval.

    The interval is a score method's (Newcombe, Confidence intervals for an effect size measure based on the
    Mann-Whitney statistic, part 2, Statistics in Medicine 2006, method 5): all areas that the one found is no further
    from than their own standard error allows. So it has a width also where all known photos are more familiar than all
    unknown ones.

    Args:
        known: (m,), familiarity of photos of known breeds.
        unknown: (n,), of others.
        confidence_level: for example 0.95.

    Returns:
        the area (0 to 1, higher is better, 0.5 is chance), and the two ends.
    """
    m, n, z = len(known), len(unknown), float(norm.ppf((1 + confidence_level) / 2))
    area = (rankdata(np.concatenate([known, unknown]))[:m].sum() - m * (m + 1) / 2) / (m * n)

    def error(theta: float) -> float:
        more = (m + n) / 2 - 1
        return z * np.sqrt(
            theta * (1 - theta) * (1 + more * (1 - theta) / (2 - theta) + more * theta / (1 + theta)) / (m * n)
        )

    nearly_0, nearly_1 = 1e-12, 1 - 1e-12
    low = brentq(lambda theta: area - theta - error(theta), 0, min(area, nearly_1)) if area > nearly_0 else 0.0
    high = brentq(lambda theta: theta - area - error(theta), max(area, nearly_0), 1) if area < nearly_1 else 1.0
    return float(area), float(low), float(high)


def judge_familiarity(
    calibration: list[float], test: np.ndarray, unknown: np.ndarray, turned_away: float, confidence_level: float
) -> dict[str, Any]:
    """What comes of a model's threshold.

    Args:
        calibration: familiarity of known photos, by which the threshold is found.
        test: (n,), familiarity of the test photos, of known breeds all.
        unknown: (k,), of photos of anything else; there may be none.
        turned_away: the share of known photos that may be called unknown.
        confidence_level: of the intervals.

    Returns:
        ``familiarity_threshold``, None where ``calibration`` is too short for one, so that nothing is turned away;
        ``known_photos``, its length; ``turned_away``, the share of test, and between which shares it is due,
        ``due_low`` and ``due_high``, see `turned_away_interval`; ``unknown_photos``, how many there are, and if any
        ``unknown_turned_away`` and ``unknown_auc``. Shares and areas (0 to 1) have intervals, ``_low`` and ``_high``.
    """
    threshold = find_threshold(calibration, turned_away)
    due = turned_away_interval(len(calibration), turned_away, confidence_level, len(test))
    judged: dict[str, Any] = {
        "familiarity_threshold": threshold,
        "known_photos": len(calibration),
        "due_low": round(due[0], 6),
        "due_high": round(due[1], 6),
        **share_of(is_unknown(test, threshold), "turned_away", confidence_level),
        "unknown_photos": len(unknown),
    }
    if len(unknown):
        area = auc_interval(test, unknown, confidence_level)
        judged |= share_of(is_unknown(unknown, threshold), "unknown_turned_away", confidence_level)
        judged |= {f"unknown_auc{end}": round(value, 6) for end, value in zip(("", "_low", "_high"), area, strict=True)}
    return judged


def tabulate_familiarity(
    photos: pd.DataFrame, familiarity: np.ndarray, calibration: list[float], threshold: float | None
) -> pd.DataFrame:
    """``photos``, a row each, with ``familiarity``, ``p_value`` and ``unknown`` (whether it is turned away)."""
    return photos.assign(
        familiarity=familiarity,
        p_value=p_values(calibration, familiarity),
        unknown=is_unknown(familiarity, threshold),
    )


def trace_curve(test: np.ndarray, unknown: np.ndarray) -> pd.DataFrame:
    """The ROC curve, at `MOST_POINTS` at most: ``known_turned_away`` and ``unknown_turned_away``, shares."""
    if not len(test) or not len(unknown):
        return pd.DataFrame({"known_turned_away": [], "unknown_turned_away": []})
    is_other = np.repeat([False, True], [len(test), len(unknown)])
    of_known, of_unknown, _ = roc_curve(is_other, -np.concatenate([test, unknown]))
    shown = np.unique(np.linspace(0, len(of_known) - 1, min(len(of_known), MOST_POINTS)).round().astype(int))
    return pd.DataFrame({"known_turned_away": of_known[shown], "unknown_turned_away": of_unknown[shown]})
