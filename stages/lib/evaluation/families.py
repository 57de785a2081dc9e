"""Families of breeds that a model takes for each other: what many rows of a confusion matrix come to."""

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

MISTAKEN = 0.02  # share of their photos that two breeds, on average over a family's pairs, lose to each other at least


def find_families(actual: np.ndarray, predicted: np.ndarray, breeds: int) -> np.ndarray:
    """The family of each breed: int (breeds,), breeds of one family have the same number.

    Hierarchical clustering of the confusion matrix with average linkage (Sokal and Michener, University of Kansas
    Science Bulletin 1958), where two breeds are as alike as the share of their photos that is taken for the other.

    Args:
        actual: int (n,) in [0, breeds).
        predicted: likewise.
        breeds: how many there are, 2 or more.
    """
    counts = np.zeros((breeds, breeds))
    np.add.at(counts, (actual, predicted), 1)
    photos = counts.sum(axis=1)
    alike = (counts + counts.T) / np.maximum(photos[:, None] + photos, 1)
    np.fill_diagonal(alike, 1)
    return fcluster(linkage(squareform(1 - alike), "average"), 1 - MISTAKEN, criterion="distance")


def tabulate_families(predictions: pd.DataFrame, breeds: list[str]) -> pd.DataFrame:
    """One row a family of two breeds or more, the one with the most photos mistaken within it first.

    Args:
        predictions: the columns actual and predicted, names in ``breeds``.
        breeds: two or more.

    Returns:
        ``breeds``, names joined by commas; ``photos``; ``accuracy``, the share of them whose breed is right;
        ``family_accuracy``, the share whose family is right; ``within``, how many are taken for another breed of it.
    """
    place = {breed: number for number, breed in enumerate(breeds)}
    actual, predicted = (predictions[column].map(place).to_numpy() for column in ("actual", "predicted"))
    family = find_families(actual, predicted, len(breeds))
    rows = []
    for number in np.unique(family):
        members, of_family = np.flatnonzero(family == number), family[actual] == number
        if len(members) < 2:
            continue
        right, inside = (predicted == actual)[of_family], (family[predicted] == number)[of_family]
        rows.append({
            "breeds": ", ".join(breeds[member] for member in members), "photos": int(of_family.sum()),
            "accuracy": right.mean(), "family_accuracy": inside.mean(), "within": int((inside & ~right).sum()),
        })  # fmt: skip
    table = pd.DataFrame(rows, columns=["breeds", "photos", "accuracy", "family_accuracy", "within"])
    return table.sort_values(["within", "breeds"], ascending=[False, True], kind="stable").reset_index(drop=True)
