"""The tables under plots, from what was judged."""

from typing import Any

import numpy as np
import pandas as pd

from stages.lib.evaluation.judging import Judged


def tabulate_answers(photos: list[str], probabilities: np.ndarray, breeds: list[str]) -> pd.DataFrame:
    """One row a photo: photo, predicted and confidence."""
    predicted = np.array(breeds)[probabilities.argmax(axis=1)]
    return pd.DataFrame({"photo": photos, "predicted": predicted, "confidence": probabilities.max(axis=1)})


def tabulate_predictions(
    photos: list[str], actual: list[str], probabilities: np.ndarray, breeds: list[str]
) -> pd.DataFrame:
    """One row a photo: photo, actual, predicted, confidence, and the probability of each breed."""
    table = tabulate_answers(photos, probabilities, breeds)
    table.insert(1, "actual", actual)
    return table.join(pd.DataFrame(probabilities, columns=breeds))


def stack(tables: dict[Any, pd.DataFrame], names: list[str]) -> pd.DataFrame:
    """All of ``tables``, one below the other; their keys become the first columns, called ``names``."""
    return pd.concat(tables, names=names).reset_index(names).reset_index(drop=True)


def join_models(judged: dict[str, Judged]) -> dict[str, pd.DataFrame]:
    """The tables of all models, by the name of their file."""
    reliability = {
        (model, scaling): points for model, found in judged.items() for scaling, points in found.reliability.items()
    }
    return {
        "classification_report": stack({model: found.report for model, found in judged.items()}, ["model"]),
        "confusion": stack({model: found.confusion for model, found in judged.items()}, ["model"]),
        "reliability": stack(reliability, ["model", "scaling"]),
        "risk_coverage": stack({model: found.risk_coverage for model, found in judged.items()}, ["model"]),
    }
