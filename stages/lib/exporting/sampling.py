"""Some of many pictures: to compare runtimes on, and to calibrate 8 bits."""

from pathlib import Path

import numpy as np

from stages.lib.datasets.pictures import find_pictures, read_picture

CALIBRATED_ON = 100  # pictures; TensorFlow's guide to quantisation takes 100 or more


def spread(pictures: list[Path], count: int) -> list[Path]:
    """At most ``count`` of ``pictures``, which are in the order of their breeds, evenly spaced: of each its share.

    Systematic sampling, see Cochran, Sampling techniques (1977), section 8.1.
    """
    step = max(1, len(pictures) / count)
    return [pictures[int(place)] for place in np.arange(step / 2, len(pictures), step)]


def calibration_pictures(train: Path, side: int) -> np.ndarray:
    """`CALIBRATED_ON` of the training photos, or all that there are: uint8 (count, side, side, 3), 0-255."""
    return np.stack([read_picture(file, side) for file in spread(find_pictures(train)[0], CALIBRATED_ON)])
