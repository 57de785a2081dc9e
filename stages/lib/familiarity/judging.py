"""What a threshold on familiarity does: to photos of the breeds that a model knows, and to photos of anything else."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm, rankdata
from sklearn.metrics import roc_curve
from statsmodels.stats.proportion import proportion_confint

from stages.lib.familiarity.conformal import find_threshold, is_unknown, p_values, turned_away_interval


def auc_interval(known: np.ndarray, unknown: np.ndarray, confidence_level: float) -> tuple[float, float, float]:
    """The area under the ROC curve of familiarity, known photos against unknown ones, and its interval.

    By ranks, the standard error by DeLong et al., Comparing the areas under two or more correlated ROC curves
    (Biometrics 1988), cut at 0 and 1. Where all known photos are more familiar than all unknown ones, the interval is
    [1, 1], however few they are.

    Args:
        known: (m,), familiarity of photos of known breeds, m > 1.
        unknown: (n,), of others, n > 1.
        confidence_level: for example 0.95.

    Returns:
        the area (0 to 1, higher is better, 0.5 is chance), and the two ends.
    """
    ranks = rankdata(np.concatenate([known, unknown]))
    above = (ranks[: len(known)] - rankdata(known)) / len(unknown)  # the share of unknown photos below each known one
    below = 1 - (ranks[len(known) :] - rankdata(unknown)) / len(known)
    area = float(above.mean())
    error = np.sqrt(above.var(ddof=1) / len(known) + below.var(ddof=1) / len(unknown))
    reach = float(norm.ppf((1 + confidence_level) / 2) * error)
    return area, max(0.0, area - reach), min(1.0, area + reach)


def share(turned_away: np.ndarray, name: str, confidence_level: float) -> dict[str, float]:
    """The share of photos for which ``turned_away``, bool (n,), is true, as ``name``, with Wilson's interval."""
    low, high = proportion_confint(turned_away.sum(), len(turned_away), alpha=1 - confidence_level, method="wilson")
    values = {name: turned_away.mean(), f"{name}_low": low, f"{name}_high": high}
    return {key: round(float(value), 6) for key, value in values.items()}


def judge_familiarity(
    calibration: list[float], test: np.ndarray, unknown: np.ndarray, turned_away: float, confidence_level: float
) -> dict[str, Any]:
    """What comes of a model's threshold.

    Args:
        calibration: familiarity of known photos, by which the threshold is found; they neither fitted nor steered it.
        test: (n,), familiarity of the test photos, of known breeds all.
        unknown: (k,), of photos of anything else; there may be none.
        turned_away: the share of known photos that may be called unknown.
        confidence_level: of the intervals.

    Returns:
        ``familiarity_threshold``, None where ``calibration`` is too short for one, so that nothing is turned away;
        ``known_photos``, its length; ``due_low`` and ``due_high``, see `turned_away_interval`; ``turned_away``, the
        share of test; and where there are two unknown photos or more ``unknown_photos``, ``unknown_turned_away`` and
        ``unknown_auc``. Shares and areas (0 to 1) have intervals, ``_low`` and ``_high``.
    """
    threshold = find_threshold(calibration, turned_away)
    due = turned_away_interval(len(calibration), turned_away, confidence_level)
    judged: dict[str, Any] = {
        "familiarity_threshold": threshold,
        "known_photos": len(calibration),
        "due_low": round(due[0], 6),
        "due_high": round(due[1], 6),
        **share(is_unknown(test, threshold), "turned_away", confidence_level),
    }
    if len(unknown) > 1:
        area = auc_interval(test, unknown, confidence_level)
        judged["unknown_photos"] = len(unknown)
        judged |= share(is_unknown(unknown, threshold), "unknown_turned_away", confidence_level)
        judged |= {f"unknown_auc{end}": round(value, 6) for end, value in zip(("", "_low", "_high"), area, strict=True)}
    return judged


def tabulate(
    photos: pd.DataFrame, familiarity: np.ndarray, calibration: list[float], turned_away: float
) -> pd.DataFrame:
    """``photos``, a row each, with ``familiarity``, ``p_value`` and ``unknown`` (whether it is turned away)."""
    threshold = find_threshold(calibration, turned_away)
    return photos.assign(
        familiarity=familiarity,
        p_value=p_values(calibration, familiarity),
        unknown=is_unknown(familiarity, threshold),
    )


def trace_curve(test: np.ndarray, unknown: np.ndarray) -> pd.DataFrame:
    """The ROC curve: ``known_turned_away`` and ``unknown_turned_away``, shares; no row without photos of both."""
    if not len(test) or not len(unknown):
        return pd.DataFrame({"known_turned_away": [], "unknown_turned_away": []})
    is_other = np.repeat([False, True], [len(test), len(unknown)])
    of_known, of_unknown, _ = roc_curve(is_other, -np.concatenate([test, unknown]))
    return pd.DataFrame({"known_turned_away": of_known, "unknown_turned_away": of_unknown})
