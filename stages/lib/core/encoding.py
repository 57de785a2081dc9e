"""Breeds as numbers."""

from collections.abc import Iterable, Sequence

import numpy as np


def encode(breeds: Iterable[str], names: Sequence[str]) -> np.ndarray:
    """The place of each of ``breeds`` in ``names``: int (n,)."""
    place = {name: index for index, name in enumerate(names)}
    return np.array([place[breed] for breed in breeds])
