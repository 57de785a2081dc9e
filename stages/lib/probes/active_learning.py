"""Which unlabelled photos a person should label first.

The least sure, and no two alike: of a margin sampling's first the ones nearest to the centres of their clusters
(Zhdanov, Diverse mini-batch active learning, arXiv:1901.05954, algorithm 1).
"""

import numpy as np
from sklearn.cluster import KMeans

LEAST_SURE = 10  # times as many as are chosen, which are then clustered (the paper's beta)


def margins(probabilities: np.ndarray) -> np.ndarray:
    """How far the most probable breed is before the next: (n,) in [0, 1] of probabilities (n, breeds), 2 or more."""
    two = np.sort(probabilities, axis=1)[:, -2:]
    return two[:, 1] - two[:, 0]


def choose_to_label(probabilities: np.ndarray, features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Choose photos to label.

    Args:
        probabilities: (n, breeds), what a model says of each photo.
        features: float32 (n, channels), rows of length 1.
        count: how many, 1 or more; all where there are no more.
        seed: of the first centres.

    Returns:
        int (count,), rows, the least sure first.
    """
    sure = margins(probabilities)
    candidates = np.argsort(sure, kind="stable")[: count * LEAST_SURE]
    if len(candidates) <= count:
        return candidates
    weights = np.maximum(1 - sure[candidates], 1e-6)  # or there would be nothing to cluster where it is sure of all
    clusters = KMeans(count, n_init=1, random_state=seed).fit(features[candidates], sample_weight=weights)
    distances = clusters.transform(features[candidates])
    own = np.where(np.arange(count) == clusters.labels_[:, None], distances, np.inf)
    nearest = np.unique(own.argmin(axis=0)[np.isfinite(own.min(axis=0))])  # a cluster may be left empty
    rest = np.setdiff1d(np.arange(len(candidates)), nearest)[: count - len(nearest)]
    chosen = candidates[np.concatenate([nearest, rest])]
    return chosen[np.argsort(sure[chosen], kind="stable")]
