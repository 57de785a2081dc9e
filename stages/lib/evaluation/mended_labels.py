"""The same answers about test, scored on the labels as they came and as a person mended them."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from statsmodels.stats.contingency_tables import mcnemar

from stages.lib.core.encoding import encode


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
        ``log_loss_as_came``, how many photos are right ``only_as_mended`` and ``only_as_came``, and the ``p`` of the
        exact McNemar test of these two.
    """
    probabilities = probabilities / probabilities.sum(
        axis=1, keepdims=True, dtype=np.float64
    )  # float32 rows sum to 1 only nearly
    labels = {"": encode(mended, breeds), "_as_came": encode(came, breeds)}
    predicted = probabilities.argmax(axis=1)
    right = {kind: predicted == actual for kind, actual in labels.items()}
    scores: dict[str, Any] = {"photos": len(came), "mended": int((labels[""] != labels["_as_came"]).sum())}
    for kind, actual in labels.items():
        scores[f"accuracy{kind}"] = round(float(right[kind].mean()), 6)
        loss = log_loss(actual, probabilities, labels=np.arange(len(breeds)))
        scores[f"log_loss{kind}"] = round(float(loss), 6)
    only_as_mended = int((right[""] & ~right["_as_came"]).sum())
    only_as_came = int((right["_as_came"] & ~right[""]).sum())
    p = mcnemar([[0, only_as_mended], [only_as_came, 0]], exact=True).pvalue
    return scores | {"only_as_mended": only_as_mended, "only_as_came": only_as_came, "p": round(float(p), 6)}


def labels_as_came(photos: list[str], manifest: pd.DataFrame) -> list[str]:
    """The breed in whose folder each of ``photos`` stands, by the manifest."""
    return manifest.set_index("file").loc[photos, "folder_breed"].tolist()
