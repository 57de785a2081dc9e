"""Which settings of a head are tried, and between which values."""

from typing import NamedTuple


class Range(NamedTuple):
    """Between which values to look for a setting, and whether by its logarithm."""

    low: float
    high: float
    log: bool = False


SPACE = {
    "dropout": Range(0.0, 0.8),
    "learning_rate": Range(1e-4, 1e-2, log=True),
    "weight_decay": Range(0.0, 0.5),
    "label_smoothing": Range(0.0, 0.2),
    "steps": Range(200, 1000),
}
