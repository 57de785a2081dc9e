"""The same answers about test, scored on the labels as they came and as a person mended them."""

from typing import Any

import numpy as np
import pandas as pd

from stages.lib.core.encoding import encode
from stages.lib.evaluation.comparisons import only_one_right
from stages.lib.evaluation.scores import compute_losses


def score_both(came: list[str], mended: list[str], probabilities: np.ndarray, breeds: list[str]) -> dict[str, Any]:
    """Accuracy and log loss of one model's answers, on both kinds of labels.

    A photo that was dropped has no answer, and is in neither.

    Args:
        came: the breed of each photo's folder.
        mended: the breed that it is taken for.
        probabilities: (photos, breeds).
        breeds: in the order of the probabilities.

    Returns:
        ``photos``, ``mended`` (of them), ``accuracy`` and ``log_loss`` as mended, ``accuracy_as_came`` and
        ``log_loss_as_came``, how many photos are right ``only_as_mended`` and ``only_as_came``, and their ``p``, see
        `only_one_right`.
    """
    labels = {"": encode(mended, breeds), "_as_came": encode(came, breeds)}
    right = {kind: probabilities.argmax(axis=1) == actual for kind, actual in labels.items()}
    scores: dict[str, Any] = {"photos": len(came), "mended": int((labels[""] != labels["_as_came"]).sum())}
    for kind, actual in labels.items():
        scores[f"accuracy{kind}"] = round(float(right[kind].mean()), 6)
        scores[f"log_loss{kind}"] = compute_losses(actual, probabilities)["log_loss"]
    only_as_mended, only_as_came, p = only_one_right(right[""], right["_as_came"])
    return scores | {"only_as_mended": only_as_mended, "only_as_came": only_as_came, "p": round(p, 6)}


def labels_as_came(photos: list[str], manifest: pd.DataFrame) -> list[str]:
    """The breed in whose folder each of ``photos`` stands, by the manifest."""
    return manifest.set_index("file").loc[photos, "folder_breed"].tolist()
