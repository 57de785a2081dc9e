"""What trained models answered about val, test and unknown photos, in data/predictions: a folder a family of models.

``<model>.<split>.npy`` has the probabilities, ``<model>.<split>.familiarity.npy`` how familiar each photo is,
``<split>.csv`` the photos and their breeds, ``models.json`` what else there is to know of each model; on a backbone,
``nearest.csv`` has the training photos most like each photo.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.lib.core import paths
from stages.lib.core.outputs import write_json

NEAREST_COLUMNS = ["split", "photo", "nearest", "breed"]


class Predictions(NamedTuple):
    """What the models answered about a split, or about unknown photos."""

    photos: list[str]  # as the manifest names them; unknown ones by their place below `data.unknown`
    actual: list[str]  # the breed of each, which is the sub-folder that it is in; of unknown photos that is no breed
    probabilities: dict[str, np.ndarray]  # of each model, float32 (photos, breeds), in the order of its breeds
    familiarity: dict[str, np.ndarray]  # of each model, float32 (photos,)


def write_predictions(folder: Path, split: str, predictions: Predictions) -> None:
    """Write a split's answers to ``folder``, a family's."""
    pd.DataFrame({"photo": predictions.photos, "breed": predictions.actual}).to_csv(
        folder / f"{split}.csv", index=False
    )
    for model, probabilities in predictions.probabilities.items():
        np.save(folder / f"{model}.{split}.npy", probabilities)
        np.save(folder / f"{model}.{split}.familiarity.npy", predictions.familiarity[model])


def write_nearest(folder: Path, rows: list[tuple[str, str, str, str]]) -> None:
    """Write which training photos are most like which photo to ``folder``: split, photo, picture and breed."""
    pd.DataFrame(rows, columns=NEAREST_COLUMNS).to_csv(folder / "nearest.csv", index=False)


def read_nearest(backbone: str | None) -> pd.DataFrame:
    """What `write_nearest` wrote: split, photo, nearest (a picture below data/prepared), its breed; of None nothing."""
    if backbone is None:
        return pd.DataFrame(columns=NEAREST_COLUMNS)
    return pd.read_csv(paths.PREDICTIONS / backbone / "nearest.csv", dtype=str, keep_default_na=False)


def write_models(folder: Path, models: dict[str, dict[str, Any]]) -> None:
    """Write what there is to know of a family's models, ``breeds`` and ``known_familiarity`` among it."""
    write_json(folder / "models.json", models)


def read_models(families: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What `write_models` wrote, of all ``families``."""
    found: dict[str, dict[str, Any]] = {}
    for family in families:
        found |= json.loads((paths.PREDICTIONS / family / "models.json").read_text(encoding="utf-8"))
    return found


def read_predictions(families: Mapping[str, tuple[str, ...]], split: str) -> Predictions:
    """The answers of the models of all ``families`` about a split, in their order.

    Raises `ValueError` where two families were not asked about the same photos, which only an edited file would bring
    about.
    """
    lists: list[pd.DataFrame] = []
    probabilities: dict[str, np.ndarray] = {}
    familiarity: dict[str, np.ndarray] = {}
    for family, models in families.items():
        folder = paths.PREDICTIONS / family
        lists.append(pd.read_csv(folder / f"{split}.csv", dtype=str, keep_default_na=False))
        for model in models:
            probabilities[model] = np.load(folder / f"{model}.{split}.npy", allow_pickle=False)
            familiarity[model] = np.load(folder / f"{model}.{split}.familiarity.npy", allow_pickle=False)
    if not all(found.equals(lists[0]) for found in lists):
        raise ValueError(f"{paths.PREDICTIONS}: the families were asked about other photos of {split}")
    return Predictions(lists[0]["photo"].tolist(), lists[0]["breed"].tolist(), probabilities, familiarity)
