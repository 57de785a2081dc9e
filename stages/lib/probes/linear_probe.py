"""A logistic regression on a frozen network's features."""

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def linear_probe(strength: float = 0.1) -> Pipeline:
    """A classifier with `fit`, `predict` and `predict_proba` of features (n, channels), that tells what they hold.

    Alain and Bengio, Understanding intermediate layers using linear classifier probes (2016). It has no seed, takes a
    tenth of a second where a trained head takes five, and no TensorFlow. With a lower ``strength`` (C) it follows the
    labels of single photos less.
    """
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))


def out_of_fold(
    probe: Pipeline, features: np.ndarray, labels: np.ndarray, groups: np.ndarray, folds: int, seed: int
) -> np.ndarray:
    """What a probe, fitted to the other photos, thinks of each photo: probabilities (n, classes), rows sum to 1.

    Args:
        probe: not fitted; copies of it are.
        features: (n, channels), a frozen network's, as trained ones have seen the labels.
        labels: int (n,) in [0, classes). A class that is in one fold alone gets 0 there.
        groups: (n,), equal for near duplicates, which are kept in one fold.
        folds: 2 or more, and no more than the largest class has photos.
        seed: of the folds.
    """
    probabilities = np.zeros((len(labels), labels.max() + 1), features.dtype)
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class in y has only", UserWarning)
        parts = list(splits.split(features, labels, groups))
    for others, asked in parts:
        known = np.unique(labels[others])
        if len(known) == 1:  # a probe tells two apart or more
            probabilities[asked, known] = 1
        elif len(asked):
            fitted = clone(probe).fit(features[others], labels[others])
            probabilities[np.ix_(asked, known)] = fitted.predict_proba(features[asked])
    return probabilities
