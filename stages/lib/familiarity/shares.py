"""Shares of photos, with the intervals that so few of them give."""

import numpy as np
from statsmodels.stats.proportion import proportion_confint


def share_of(chosen: np.ndarray, name: str, confidence_level: float) -> dict[str, float]:
    """The share of photos for which ``chosen``, bool (n,), is true, as ``name``, with Wilson's interval."""
    low, high = proportion_confint(chosen.sum(), len(chosen), alpha=1 - confidence_level, method="wilson")
    values = {name: chosen.mean(), f"{name}_low": low, f"{name}_high": high}
    return {key: round(float(value), 6) for key, value in values.items()}
