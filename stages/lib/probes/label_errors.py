"""Photos whose breed may be wrong in the folder that they came in."""

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from stages.lib.core.encoding import encode
from stages.lib.probes.linear_probe import linear_probe

FOLDS = 5
COLUMNS = ["photo", "split", "labelled", "suggested", "quality", "suggested_probability"]


def out_of_fold_probabilities(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """What a linear probe, trained on the other photos, thinks of each photo: (n, classes).

    Args:
        features: (n, channels), a frozen network's, as trained ones have seen the labels.
        labels: int (n,) in [0, classes).
        groups: (n,), equal for near duplicates, which are kept in one fold.
        seed: of the folds.
    """
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    return cross_val_predict(linear_probe(), features, labels, groups=groups, cv=folds, method="predict_proba")


def can_be_judged(labels: np.ndarray, groups: np.ndarray) -> bool:
    """Whether each class has a group of photos for every fold."""
    return pd.DataFrame({"label": labels, "group": groups}).groupby("label")["group"].nunique().min() >= FOLDS


def find_suspicious(
    photos: pd.DataFrame, probabilities: np.ndarray, breeds: list[str], decided: np.ndarray
) -> pd.DataFrame:
    """Rank the photos whose label is most likely wrong, the most suspicious first.

    Confident learning (Northcutt et al., JAIR 2021) says which, by cleanlab's defaults; their quality ranks them. With
    35 of 703 real labels swapped on purpose, it named 54 and 61 photos, 30 of the 35 among them, in two draws; all
    photos that look like another breed would be 103 and 98, with 35 and 34 of them.

    Args:
        photos: one row a photo with the columns photo, split and labelled (its breed).
        probabilities: (n, breeds), out of fold.
        breeds: the columns of ``probabilities``.
        decided: bool (n,), of photos whose label a person has confirmed or mended: they are never suspicious again.

    Returns:
        `COLUMNS`, with ``suggested`` the most probable breed and ``quality`` (0 to 1, low is suspicious) the
        probability of the given one; no row where nothing is suspicious.
    """
    labels = encode(photos["labelled"].tolist(), breeds)
    suspicious = find_label_issues(labels, probabilities, n_jobs=1)  # one job: forking TensorFlow's process may hang
    suggested = probabilities.argmax(axis=1)
    table = photos.assign(
        suggested=np.array(breeds)[suggested],
        quality=get_label_quality_scores(labels, probabilities),
        suggested_probability=probabilities.max(axis=1),
    )
    return table[suspicious & ~decided].sort_values(["quality", "photo"], kind="stable")[COLUMNS].reset_index(drop=True)
