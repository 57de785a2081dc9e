"""Selective classification: answering only where the model is confident, and what that gains and costs.

El-Yaniv and Wiener, On the foundations of noise-free selective classification (JMLR 2010); Geifman and El-Yaniv,
Selective classification for deep neural networks (NeurIPS 2017), whose score, too, is the highest probability.
"""

import numpy as np
import pandas as pd

DIGITS = 6  # to which confidences are rounded before they are compared, here as where they are told


def risk_coverage(right: np.ndarray, confidence: np.ndarray) -> pd.DataFrame:
    """What share of the photos is answered wrongly, if only the most confident ones are answered.

    Args:
        right: bool (n,).
        confidence: (n,) in [0, 1].

    Returns:
        One row a different confidence, highest first: ``threshold``, from which on photos are answered; ``coverage``,
        the share that is, above 0 to 1; ``risk``, the share of those that is wrong, 0 (best) to 1.
    """
    confidence = np.round(confidence.astype(np.float64), DIGITS)
    order = np.argsort(-confidence, kind="stable")
    confidence, wrong = confidence[order], ~right[order]
    last = np.append(confidence[1:] != confidence[:-1], True)  # photos of equal confidence are answered together
    answered = np.arange(1, len(right) + 1)
    table = {
        "threshold": confidence[last],
        "coverage": answered[last] / len(right),
        "risk": (np.cumsum(wrong) / answered)[last],
    }
    return pd.DataFrame(table)


def find_threshold(right: np.ndarray, confidence: np.ndarray, target_accuracy: float) -> float | None:
    """The lowest confidence from which on at least ``target_accuracy`` of these photos are right.

    None where no threshold gets there. It is an estimate from these photos, without a margin: another sample may stay a
    little below the target.
    """
    curve = risk_coverage(right, confidence)
    reached = curve[curve["risk"] <= 1 - target_accuracy + 1e-12]  # 1 - 0.9 is a little less than 0.1
    return None if reached.empty else float(reached["threshold"].iloc[-1])


def is_sure(confidence: np.ndarray | float, threshold: float | None) -> np.ndarray | np.bool:
    """Whether a confidence, or each of several, reaches ``threshold``; none does where there is no threshold."""
    if threshold is None:
        return np.zeros_like(confidence, dtype=bool)
    return np.round(np.asarray(confidence, dtype=np.float64), DIGITS) >= threshold
