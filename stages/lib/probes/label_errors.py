"""Photos whose breed may be wrong in the folder that they came in."""

import numpy as np
import pandas as pd

from stages.lib.core.encoding import encode
from stages.lib.probes.linear_probe import linear_probe, out_of_fold

FOLDS = 5
# of the probe, over the channels that it sums up, is its C: 0.001 for 1,280 of them. With 0.1, it learns wrong labels
# by heart, and finds fewer (docs/labels.md)
STRENGTH = 1.28
COLUMNS = ["photo", "split", "labelled", "suggested", "quality", "suggested_probability"]


def out_of_fold_probabilities(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """What a linear probe, trained on the other photos, thinks of each photo: (n, classes).

    Args:
        features: (n, channels), a frozen network's, as trained ones have seen the labels.
        labels: int (n,) in [0, classes).
        groups: (n,), equal for near duplicates, which are kept in one fold.
        seed: of the folds.
    """
    return out_of_fold(linear_probe(STRENGTH / features.shape[1]), features, labels, groups, FOLDS, seed)


def can_be_judged(labels: np.ndarray, groups: np.ndarray) -> bool:
    """Whether each class has a group of photos for every fold."""
    return pd.DataFrame({"label": labels, "group": groups}).groupby("label")["group"].nunique().min() >= FOLDS


def find_suspicious(
    photos: pd.DataFrame, probabilities: np.ndarray, breeds: list[str], decided: np.ndarray
) -> pd.DataFrame:
    """Rank the photos whose label is most likely wrong, the most suspicious first.

    Suspicious is what looks more like another breed; the margin between the two probabilities ranks them. Of labels
    swapped on purpose, that finds more than cleanlab's filters, which list fewer (Northcutt et al., JAIR 2021):
    docs/labels.md has the figures.

    Args:
        photos: one row a photo with the columns photo, split and labelled (its breed).
        probabilities: (n, breeds), out of fold.
        breeds: the columns of ``probabilities``.
        decided: bool (n,), of photos whose label a person has confirmed or mended: they are never suspicious again.

    Returns:
        `COLUMNS`, with ``suggested`` the most probable breed, its probability, and as ``quality`` (0 to 1, low is
        suspicious) that of the given one; no row where nothing is suspicious.
    """
    labels = encode(photos["labelled"].tolist(), breeds)
    suggested = probabilities.argmax(axis=1)
    own, probability = probabilities[np.arange(len(labels)), labels], probabilities.max(axis=1)
    suspicious = (suggested != labels) & ~decided
    table = photos.assign(
        suggested=np.array(breeds)[suggested],
        quality=own,
        suggested_probability=probability,
        margin=own - probability,
    )
    return table[suspicious].sort_values(["margin", "photo"], kind="stable")[COLUMNS].reset_index(drop=True)
