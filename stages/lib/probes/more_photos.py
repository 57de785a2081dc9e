"""What a linear probe loses on photos of each breed, which ranks the breeds that more photos would help."""

import numpy as np

from stages.lib.probes.label_errors import FOLDS
from stages.lib.probes.linear_probe import linear_probe, out_of_fold

LEAST = 1e-6  # probability, below which a loss grows no more: of a breed whose photos are all in one fold it is 0


def log_losses(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Of each photo, the negative logarithm of its own breed's probability: (n,) in nats, 0 to 13.8, lower is better.

    Args:
        probabilities: (n, breeds).
        labels: int (n,) in [0, breeds).
    """
    return -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], LEAST))


def out_of_fold_losses(features: np.ndarray, labels: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """The log loss on each photo of a probe that was fitted to others: (n,), see `log_losses`.

    Where no breed has `FOLDS` photos, there are as many folds as the largest has.

    Args:
        features: (n, channels), a frozen network's.
        labels: int (n,) in [0, breeds), 2 or more of each.
        groups: (n,), equal for near duplicates, which are kept in one fold.
        seed: of the folds.
    """
    folds = min(FOLDS, int(np.bincount(labels).max()))
    return log_losses(out_of_fold(linear_probe(), features, labels, groups, folds, seed), labels)
