"""Whether a confidence can be believed: calibration error, reliability diagram, temperature scaling."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

BINS = 15  # as in Guo et al.
TEMPERATURES = (0.05, 20.0)  # between which one is looked for
SMALLEST = np.finfo(np.float32).tiny  # in place of a probability of 0, whose logarithm is not finite


def _bin_of(confidence: np.ndarray, bins: int) -> np.ndarray:
    """The interval of each confidence, open below: bin i holds (i / bins, (i + 1) / bins]."""
    return np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)


def expected_calibration_error(right: np.ndarray, confidence: np.ndarray, bins: int = BINS) -> float:
    """How far confidence and accuracy are apart on average: 0 (best) to 1.

    Guo et al., On calibration of modern neural networks (ICML 2017), equation 3, after Naeini et al., Obtaining well
    calibrated probabilities using Bayesian binning (AAAI 2015): the predictions are put in ``bins`` intervals of equal
    width, open below, and |accuracy - mean confidence| is averaged over them, weighted by size.

    Args:
        right: bool (n,), whether each prediction is right.
        confidence: (n,) in [0, 1], the probability of each predicted breed.
        bins: how many intervals.
    """
    # in a bin of size m, m / n * |right / m - confidence / m| is |right - confidence| / n
    differences = np.bincount(_bin_of(confidence, bins), weights=right.astype(float) - confidence, minlength=bins)
    return float(np.abs(differences).sum() / len(right))


def reliability(right: np.ndarray, confidence: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """The reliability diagram's points (Guo et al., figure 1): one row a bin that holds a photo.

    Returns:
        ``bin`` (from 1, the interval up to bin / ``bins``), ``photos``, ``confidence`` (mean, 0 to 1) and ``accuracy``
        (share right, 0 to 1). Photos times |accuracy - confidence|, over all photos, sum up to
        `expected_calibration_error`.
    """
    table = pd.DataFrame({"bin": _bin_of(confidence, bins) + 1, "confidence": confidence, "accuracy": right})
    points = table.groupby("bin").agg(
        photos=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )
    return points.reset_index()


def scale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Divide the logits of ``probabilities`` (n, breeds) by ``temperature``: above 1 less sure, below 1 surer.

    Guo et al., section 4.2. The breeds keep their order, so accuracy does not change. The logarithm of a softmax is the
    logits but for a constant a row, which softmax takes out again.
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST))
    return np.exp(log_softmax(logits / temperature, axis=1))


def fit_temperature(actual: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature with the lowest cross-entropy on these photos (which must not be the test photos).

    The actual breed's target is not 1 but (n + 1) / (n + 2), and the others share the rest: that n photos are all right
    does not show that every photo will be, and the temperature of a model that makes no error would be 0. It weighs
    about as much as one photo more on which the model is wrong. After Platt (Probabilistic outputs for support vector
    machines, 1999, section 2.2), who does so for two classes, with the count of each.

    Args:
        actual: int (n,), columns of ``probabilities``.
        probabilities: (n, breeds), two breeds or more.

    Returns:
        A number within `TEMPERATURES`.
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST))
    photos, breeds = probabilities.shape
    targets = np.full((photos, breeds), 1 / (photos + 2) / (breeds - 1))
    targets[np.arange(photos), actual] = (photos + 1) / (photos + 2)

    def loss(logarithm: float) -> float:
        return -(targets * log_softmax(logits / np.exp(logarithm), axis=1)).sum(axis=1).mean()

    # in 1 / temperature the loss is convex, so it has one valley, in the temperature's logarithm too
    found = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
