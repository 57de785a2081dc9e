"""Would it notice a breed that it does not know? Asked of breeds that it knows, each left out in turn.

What is left out stands for what is not there: the score is fitted on the training photos of the other breeds, those of
the breed left out are asked about, with its val photos, and the photos of the others are the known ones. Test stays
closed. The figures are of one breed less than there are, and of breeds like those that a person collected:
docs/unknown.md has how far off they are.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from stages.lib.core.encoding import encode
from stages.lib.familiarity.conformal import find_threshold, is_unknown
from stages.lib.familiarity.scores import breed_means, cosines_to_breeds, familiarity, leave_one_out_familiarity
from stages.lib.familiarity.shares import share_of

MOST_GROUPS = 20  # into which more breeds are put, so that many take no longer than these
RESAMPLES = 2000  # of the bootstrap
SHARE = ("turned_away", "turned_away_low", "turned_away_high")


class Photos(NamedTuple):
    """Photos of known breeds."""

    features: np.ndarray  # float32 (photos, channels), of a network that was not trained on these photos
    breeds: np.ndarray  # str (photos,)
    groups: np.ndarray  # int (photos,), equal for near duplicates

    def only(self, which: np.ndarray) -> "Photos":
        """Those for which ``which``, bool (photos,), is true."""
        return Photos(self.features[which], self.breeds[which], self.groups[which])


def group_breeds(breeds: list[str], seed: int) -> list[list[str]]:
    """The breeds to leave out at a time: each alone, or by chance in `MOST_GROUPS` groups of much the same size."""
    groups = min(len(breeds), MOST_GROUPS)
    shuffled = np.random.default_rng(seed).permutation(sorted(breeds)).tolist()
    return sorted(sorted(shuffled[start::groups]) for start in range(groups))


def score_known(train: Photos, val: Photos) -> np.ndarray:
    """How familiar known photos are, by which a threshold is found: those of val, then those of train.

    The score is fitted on ``train``, each of whose photos is asked about as if it and its near duplicates were not
    there; ``val`` is of the same breeds. Returns float32 (photos,) in [-1, 1].
    """
    labels = encode(train.breeds, sorted({*train.breeds.tolist()}))
    on_val = familiarity(breed_means(train.features, labels), val.features)
    return np.concatenate([on_val, leave_one_out_familiarity(train.features, labels, train.groups)])


def judge_breed(
    breed: str, to_breeds: np.ndarray, others: list[str], known: np.ndarray, turned_away: float, confidence_level: float
) -> dict[str, Any]:
    """What became of a breed's photos, when it was left out: a row of `leave_breeds_out`.

    Args:
        breed: its name.
        to_breeds: (photos, breeds left in), the cosines of its photos to them.
        others: the names of the breeds left in.
        known: (photos,), the familiarity of known photos.
        turned_away: the share of these that may be.
        confidence_level: of the interval.
    """
    scores, nearest = to_breeds.max(axis=1), to_breeds.argmax(axis=1)
    is_known = np.repeat([False, True], [len(scores), len(known)])
    threshold = find_threshold(known, turned_away)
    noticed: dict[str, float | None] = dict.fromkeys(SHARE)
    if threshold is not None:
        noticed |= share_of(is_unknown(scores, threshold), SHARE[0], confidence_level)
    looks_like = np.bincount(nearest, minlength=len(others))
    return {
        "breed": breed,
        "photos": len(scores),
        "known_photos": len(known),
        "auc": round(float(roc_auc_score(is_known, np.concatenate([scores, known]))), 6),
        **noticed,
        "passes_for": others[looks_like.argmax()],
        "passes_for_share": round(float(looks_like.max() / len(scores)), 6),
    }


def leave_breeds_out(
    train: Photos, val: Photos, turned_away: float, confidence_level: float, seed: int
) -> pd.DataFrame:
    """Ask about each breed of train and val as if it were unknown.

    Args:
        train: photos of two breeds or more.
        val: of the same breeds.
        turned_away: the share of known photos that may be called unknown, see `stages.lib.familiarity.conformal`.
        confidence_level: of the intervals, for example 0.95.
        seed: of the groups of breeds, see `group_breeds`.

    Returns:
        One row a breed, in their order: ``breed``; ``photos``, its own in train and val; ``known_photos``, the others'
        that `score_known` asks about; ``auc``, the area under the ROC curve of familiarity, known photos against its
        own (0 to 1, higher is better, 0.5 is chance); ``turned_away``, the share of its photos below the threshold that
        the known ones give (0 to 1, higher is better; None where they are too few for one), with Wilson's interval
        ``turned_away_low`` and ``turned_away_high``; ``passes_for``, the breed that more of its photos are nearest to
        than to any other, and ``passes_for_share``, of its photos (0 to 1).

    Raises:
        ValueError: where there are fewer than two breeds, and where those left in have no photo in train or in val.
    """
    breeds = sorted({*train.breeds.tolist(), *val.breeds.tolist()})
    if len(breeds) < 2:
        raise ValueError(f"train and val must have two breeds or more. Received: {', '.join(breeds) or 'none'}")
    rows = []
    for group in group_breeds(breeds, seed):
        in_train, in_val = ~np.isin(train.breeds, group), ~np.isin(val.breeds, group)
        rest, asked = train.only(in_train), val.only(in_val)
        others = sorted({*rest.breeds.tolist()})
        if not others or not len(asked.breeds):
            raise ValueError(f"train and val must have photos of other breeds than {', '.join(group)}")
        known = score_known(rest, asked)
        means = breed_means(rest.features, encode(rest.breeds, others))
        for breed in group:
            its = np.concatenate([photos.features[photos.breeds == breed] for photos in (train, val)])
            to_breeds = cosines_to_breeds(means, its)
            rows.append(judge_breed(breed, to_breeds, others, known, turned_away, confidence_level))
    return pd.DataFrame(rows).sort_values("breed", ignore_index=True)


def summarise(left_out: pd.DataFrame, confidence_level: float, seed: int) -> dict[str, float | None]:
    """Means over the breeds of ``auc`` and ``turned_away``, each with ``_low`` and ``_high``.

    ``turned_away`` is None where known photos were too few for a threshold with any breed left out.

    The interval is of the bootstrap, percentiles of `RESAMPLES` resamples of the breeds, as another unknown breed is
    another breed and not another photo (Efron and Tibshirani, An introduction to the bootstrap, 1993, section 13.3).
    With few breeds it is too narrow: five can be drawn in 126 ways only.

    Args:
        left_out: what `leave_breeds_out` gives.
        confidence_level: of the intervals.
        seed: of the resamples.
    """
    tail = (1 - confidence_level) / 2
    summary: dict[str, float | None] = {}
    for column in ("auc", SHARE[0]):
        names, values = (column, f"{column}_low", f"{column}_high"), left_out[column].dropna().to_numpy(float)
        summary |= dict.fromkeys(names)
        if len(values):
            drawn = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
            ends = np.quantile(values[drawn].mean(axis=1), [tail, 1 - tail])
            summary |= {name: round(float(value), 6) for name, value in zip(names, (values.mean(), *ends), strict=True)}
    return summary
