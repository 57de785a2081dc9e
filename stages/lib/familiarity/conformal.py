"""From which familiarity on a photo is known: a threshold that turns away a given share of known photos.

Of photos of known breeds that had no part in fitting the score, some are less familiar than others. A new photo of a
known breed is as likely to fall between any two of them as between any others (they are exchangeable), so its rank
among them tells how odd it is: a conformal p-value (Vovk, Gammerman and Shafer, Algorithmic learning in a random world,
2005; for what is unknown, Bates et al., Testing for outliers with conformal p-values, Annals of Statistics 2023, arXiv
2104.08279). What unknown photos look like is not assumed, and not told either.

Scores are (n,), higher is more familiar. They are rounded to `DIGITS` before they are compared, here as where they are
kept, so that another order of a network's sums seldom matters.
"""

import math

import numpy as np

DIGITS = 6
_ROUNDING = 1e-9  # 0.29 x 100 is a little less than 29


def _rounded(scores: np.ndarray | list[float]) -> np.ndarray:
    rounded = np.round(np.asarray(scores, np.float64), DIGITS)
    return np.where(np.isnan(rounded), -np.inf, rounded)  # what is no number is least familiar


def keep_scores(calibration: np.ndarray) -> list[float]:
    """The scores of known photos as a file keeps them: rounded, and in order; 9 bytes a photo, written out."""
    return np.sort(_rounded(calibration)).tolist()


def p_values(calibration: np.ndarray | list[float], scores: np.ndarray) -> np.ndarray:
    """The share of known photos that are no more familiar than each photo, itself counted among them.

    Bates et al., equation 3: (1 + #{calibration <= score}) / (n + 1).

    Args:
        calibration: (n,), scores of known photos.
        scores: (photos,).

    Returns:
        float64 (photos,) from 1 / (n + 1) to 1; of photos of known breeds, a share of at most s has s or less.
    """
    ranks = np.searchsorted(np.sort(_rounded(calibration)), _rounded(scores), side="right")
    return (1 + ranks) / (len(calibration) + 1)


def rank_of_threshold(photos: int, turned_away: float) -> int:
    """Which of ``photos`` scores, from the least familiar on, is the threshold; 0 where there are too few for one.

    ``turned_away`` is the share of known photos that may be called unknown: above 0, below 1.

    Raises `ValueError` for another share.
    """
    if not 0 < turned_away < 1:
        raise ValueError(f"turned_away must be above 0 and below 1. Received: {turned_away}")
    return math.floor(turned_away * (photos + 1) + _ROUNDING)


def fewest_photos(turned_away: float) -> int:
    """How many known photos it takes for a threshold that turns away a share of ``turned_away``: 19 for 0.05."""
    rank_of_threshold(0, turned_away)  # which checks the share
    return math.ceil(1 / turned_away - _ROUNDING) - 1


def find_threshold(calibration: np.ndarray | list[float], turned_away: float) -> float | None:
    """The score below which a photo is unknown; None where there are fewer than `fewest_photos`, and all are known.

    A photo is below it exactly where its `p_values` is at most ``turned_away``.
    """
    rank = rank_of_threshold(len(calibration), turned_away)
    return float(np.sort(_rounded(calibration))[rank - 1]) if rank else None


def is_unknown(scores: np.ndarray, threshold: float | None) -> np.ndarray:
    """Whether each photo is less familiar than ``threshold``, bool (photos,); none is where there is no threshold."""
    return np.zeros(len(scores), bool) if threshold is None else _rounded(scores) < threshold


def turned_away_interval(
    photos: int, turned_away: float, confidence_level: float, asked: int | None = None
) -> tuple[float, float]:
    """Between which shares of known photos the threshold turns away, as chance chose ``photos`` to find it by.

    Over all choices the share is at most ``turned_away`` on average; of one choice it is Beta(m, n + 1 - m), m being
    `rank_of_threshold` (Vovk, Conditional validity of inductive conformal predictors, ACML 2012, section 2; exact where
    no two scores are equal, and photos are drawn one by one: near duplicates widen it). (0, 0) where there is no
    threshold.

    Args:
        photos: of known breeds, that the threshold is found by.
        turned_away: the share asked for.
        confidence_level: of the interval, for example 0.95; equal tails.
        asked: how many other known photos are asked about, whose own chance widens the interval: the share of them is
            beta-binomial; None for the share of all that there may be.
    """
    from scipy.stats import beta, betabinom  # here, as what answers photos does without SciPy

    rank = rank_of_threshold(photos, turned_away)
    if not rank:
        return 0.0, 0.0
    if asked is None:
        low, high = beta.interval(confidence_level, rank, photos + 1 - rank)
    else:
        low, high = np.array(betabinom.interval(confidence_level, asked, rank, photos + 1 - rank)) / asked
    return float(low), float(high)
