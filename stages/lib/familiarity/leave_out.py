"""Would it notice a breed that it does not know? Asked of breeds that it knows, each left out in turn.

What is left out stands for what is not there: the bank has the training photos of the other breeds, the photos of the
breed left out are asked about, and the others' photos of val are the known ones. Test stays closed. The figures are of
one breed less than there are, and of breeds like those that a person collected: docs/unknown.md has how far off they
are.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from statsmodels.stats.proportion import proportion_confint

from stages.lib.familiarity.conformal import find_threshold, is_unknown
from stages.lib.familiarity.scores import NEAREST, Nearest, find_nearest, nearest_cosine, normalise

MOST_GROUPS = 20  # into which more breeds are put, so that many take no longer than these
RESAMPLES = 2000  # of the bootstrap


class Photos(NamedTuple):
    """Photos of known breeds."""

    features: np.ndarray  # float32 (photos, channels)
    breeds: np.ndarray  # str (photos,)


def group_breeds(breeds: list[str], seed: int) -> list[list[str]]:
    """The breeds to leave out at a time: each alone, or by chance in `MOST_GROUPS` groups of much the same size."""
    groups = min(len(breeds), MOST_GROUPS)
    shuffled = np.random.default_rng(seed).permutation(sorted(breeds)).tolist()
    return sorted(sorted(shuffled[start::groups]) for start in range(groups))


def vote(breeds: np.ndarray) -> np.ndarray:
    """The breed of most of the nearest training photos; of several, the one with the nearest photo: str (n,).

    ``breeds`` is str (n, k), the nearest first.
    """
    counts = (breeds[:, :, None] == breeds[:, None, :]).sum(axis=2)
    return breeds[np.arange(len(breeds)), counts.argmax(axis=1)]


def judge_breed(
    breed: str,
    unknown: Nearest,
    bank_breeds: np.ndarray,
    known: np.ndarray,
    turned_away: float,
    confidence_level: float,
) -> dict[str, Any]:
    """What became of a breed's photos, when it was left out: a row of `leave_breeds_out`.

    Args:
        breed: its name.
        unknown: what is nearest to its photos in the bank.
        bank_breeds: str (training photos,), of the bank.
        known: (photos,), the familiarity of the others' val photos.
        turned_away: the share of known photos that may be.
        confidence_level: of the interval.
    """
    scores = unknown.cosines.mean(axis=1)
    is_known = np.repeat([False, True], [len(scores), len(known)])
    noticed = is_unknown(scores, find_threshold(known, turned_away))
    low, high = proportion_confint(noticed.sum(), len(noticed), alpha=1 - confidence_level, method="wilson")
    looks_like = pd.Series(vote(bank_breeds[unknown.places])).value_counts()
    most = min(looks_like.index[looks_like == looks_like.max()])
    return {
        "breed": breed,
        "photos": len(scores),
        "known_photos": len(known),
        "auc": round(float(roc_auc_score(is_known, np.concatenate([scores, known]))), 6),
        "turned_away": round(float(noticed.mean()), 6),
        "turned_away_low": round(float(low), 6),
        "turned_away_high": round(float(high), 6),
        "passes_for": most,
        "passes_for_share": round(float(looks_like[most] / len(scores)), 6),
    }


def leave_breeds_out(
    train: Photos, val: Photos, turned_away: float, confidence_level: float, seed: int, k: int = NEAREST
) -> pd.DataFrame:
    """Ask about each breed of train and val as if it were unknown.

    Args:
        train: photos of two breeds or more.
        val: of the same breeds.
        turned_away: the share of known photos that may be called unknown, see `stages.lib.familiarity.conformal`.
        confidence_level: of the intervals, for example 0.95.
        seed: of the groups, see `group_breeds`.
        k: how many of the nearest training photos count.

    Returns:
        One row a breed, in their order: ``breed``; ``photos``, its own in train and val; ``known_photos``, the others'
        in val; ``auc``, the area under the ROC curve of familiarity, known photos against its own (0 to 1, higher is
        better, 0.5 is chance); ``turned_away``, the share of its photos below the threshold that those known photos
        give (0 to 1, higher is better; 0 where they are too few for one), with Wilson's interval ``turned_away_low``
        and ``turned_away_high``; ``passes_for``, the breed that most of its photos look like, by `vote`, and
        ``passes_for_share``, of its photos (0 to 1).

    Raises:
        ValueError: where there are fewer than two breeds, and where those left in have no photo in train or in val.
    """
    breeds = sorted({*train.breeds.tolist(), *val.breeds.tolist()})
    if len(breeds) < 2:
        raise ValueError(f"train and val must have two breeds or more. Received: {', '.join(breeds) or 'none'}")
    rows = []
    for group in group_breeds(breeds, seed):
        in_bank, is_known = ~np.isin(train.breeds, group), ~np.isin(val.breeds, group)
        if not (in_bank.any() and is_known.any()):
            raise ValueError(f"train and val must have photos of other breeds than {', '.join(group)}")
        bank, bank_breeds = normalise(train.features[in_bank]), train.breeds[in_bank]
        known = nearest_cosine(bank, val.features[is_known], k)
        for breed in group:
            its = [photos.features[photos.breeds == breed] for photos in (train, val)]
            unknown = find_nearest(bank, np.concatenate(its), k)
            rows.append(judge_breed(breed, unknown, bank_breeds, known, turned_away, confidence_level))
    return pd.DataFrame(rows).sort_values("breed", ignore_index=True)


def summarise(left_out: pd.DataFrame, confidence_level: float, seed: int) -> dict[str, float]:
    """Means over the breeds of ``auc`` and ``turned_away``, each with ``_low`` and ``_high``.

    The interval is of the bootstrap, percentiles of `RESAMPLES` resamples of the breeds, as another unknown breed is
    another breed and not another photo (Efron and Tibshirani, An introduction to the bootstrap, 1993, section 13.3).
    With few breeds it is too narrow: five can be drawn in 126 ways only.

    Args:
        left_out: what `leave_breeds_out` gives.
        confidence_level: of the intervals.
        seed: of the resamples.
    """
    columns = ["auc", "turned_away"]
    values = left_out[columns].to_numpy(float)
    drawn = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
    tail = (1 - confidence_level) / 2
    ends = np.quantile(values[drawn].mean(axis=1), [tail, 1 - tail], axis=0)
    summary = {}
    for place, column in enumerate(columns):
        summary[column] = round(float(values[:, place].mean()), 6)
        for name, end in zip(("low", "high"), ends[:, place], strict=True):
            summary[f"{column}_{name}"] = round(float(end), 6)
    return summary
