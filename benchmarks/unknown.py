"""Scores of how familiar a photo is, compared: how many photos of other things each notices, and what a person is told.

    python -m benchmarks.unknown KNOWN UNKNOWN [UNKNOWN ...] [--without BREED ...] [--network NETWORK:PIXELS]

KNOWN has one sub-folder for each of three breeds or more; it is split three times, and near duplicates may fall on
both sides. UNKNOWN are folders of anything else; --without names sub-folders of theirs that are known breeds. The
weights are the bundled ones, out of data/weights; `dvc repro data/dvc.yaml` makes what is missing. In float32.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from scipy.special import logsumexp, softmax
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from benchmarks.photographs import MAX_PIXELS
from stages.lib.backbones.build import build_backbone
from stages.lib.core import paths
from stages.lib.core.encoding import encode
from stages.lib.familiarity.conformal import find_threshold, is_unknown, turned_away_interval
from stages.lib.familiarity.leave_out import Photos, leave_breeds_out, score_known, summarise
from stages.lib.familiarity.scores import breed_means, familiarity, find_nearest, normalise
from stages.lib.images.photos import is_clutter, read_photo, to_square
from stages.lib.networks.classifiers import pool

TEST, VAL = 0.25, 0.1  # shares of the photos
SEEDS = (1, 2, 3)
TURNED_AWAY = 0.05  # share of known photos
LEVEL = 0.95  # of intervals
PRINCIPAL = 512  # dimensions that ViM leaves to the classifier, at most
BATCH_SIZE = 32
Scores = dict[str, np.ndarray]  # for each score (n,), higher is more familiar


def run_network(network: keras.Model, files: list[Path]) -> np.ndarray:
    """Pooled features, float32 (files, channels)."""
    features, side = [], network.input_shape[1]
    for start in tqdm(range(0, len(files), BATCH_SIZE), mininterval=10):
        photos = (read_photo(file, MAX_PIXELS) for file in files[start : start + BATCH_SIZE])
        pixels = [np.asarray(to_square(photo, side, "crop")) for photo in photos]
        features.append(network.predict_on_batch(np.stack(pixels)))
    return np.concatenate(features)


def list_photos(folder: Path, without: list[str]) -> list[Path]:
    """The files below ``folder``, but for what lies in sub-folders that ``without`` names."""
    files = [file for file in sorted(folder.rglob("*")) if file.suffix.lower() in (".jpg", ".jpeg", ".png")]
    return [file for file in files if not is_clutter(file.name) and file.parent.name not in without]


def fit_classifier(features: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], Scores]:
    """What a logistic regression's logits say, and ViM (Wang et al., CVPR 2022), which adds what they leave out."""
    head = LogisticRegression(C=0.1, max_iter=500).fit(features, labels)
    origin = -np.linalg.pinv(head.coef_) @ head.intercept_
    centred = features - origin
    _, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    rest = vectors[:, : -min(PRINCIPAL, min(features.shape) // 2)]
    scale = head.decision_function(features).max(axis=1).mean() / np.linalg.norm(centred @ rest, axis=1).mean()

    def score(asked: np.ndarray) -> Scores:
        logits = head.decision_function(asked)
        energy = logsumexp(logits, axis=1)
        return {
            "highest probability": softmax(logits, axis=1).max(axis=1),
            "highest logit": logits.max(axis=1),
            "energy": energy,
            "ViM": energy - scale * np.linalg.norm((asked - origin) @ rest, axis=1),
        }

    return score


def fit_mahalanobis(features: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], Scores]:
    """Mahalanobis (Lee et al., NeurIPS 2018) and relative Mahalanobis (Ren et al., 2021), both shrunk by one share."""
    unit = normalise(features).astype(np.float64)
    means = pd.DataFrame(unit).groupby(labels).mean().to_numpy()
    within, total = unit - means[labels], unit - unit.mean(axis=0)
    shrinkage = ledoit_wolf_shrinkage(within, assume_centered=True)

    def whiten(centred: np.ndarray) -> np.ndarray:
        covariance = centred.T @ centred / len(centred)
        mean = np.eye(len(covariance)) * np.trace(covariance) / len(covariance)
        return np.linalg.cholesky(np.linalg.inv((1 - shrinkage) * covariance + shrinkage * mean))

    of_breeds, of_all = whiten(within), whiten(total)

    def score(asked: np.ndarray) -> Scores:
        rows = normalise(asked).astype(np.float64)
        to_breeds = np.min([(((rows - mean) @ of_breeds) ** 2).sum(axis=1) for mean in means], axis=0)
        to_all = (((rows - unit.mean(axis=0)) @ of_all) ** 2).sum(axis=1)
        return {"Mahalanobis": -to_breeds, "relative Mahalanobis": to_all - to_breeds}

    return score


def fit_scores(features: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], Scores]:
    """All scores, fitted on training photos."""
    by_logits, by_distance = fit_classifier(features, labels), fit_mahalanobis(features, labels)
    bank, means = normalise(features), breed_means(features, labels)

    def score(asked: np.ndarray) -> Scores:
        cosines = find_nearest(bank, asked, 10).cosines
        nearest = {f"cosine to {k} photos": cosines[:, :k].mean(axis=1) for k in (1, 5, 10)}
        return {"cosine to a breed": familiarity(means, asked)} | nearest | by_logits(asked) | by_distance(asked)

    return score


def split(labels: np.ndarray, seed: int) -> tuple[np.ndarray, ...]:
    """The places of the photos that train, that are val, and that test."""
    rest, test = train_test_split(np.arange(len(labels)), test_size=TEST, stratify=labels, random_state=seed)
    return *train_test_split(rest, test_size=VAL / (1 - TEST), stratify=labels[rest], random_state=seed), test


def compare(features: np.ndarray, labels: np.ndarray, others: dict[str, np.ndarray]) -> pd.DataFrame:
    """One row a seed, a set of ``others`` and a score: auc, and which share of test and of the set is turned away."""
    rows = []
    for seed in SEEDS:
        train, val, test = split(labels, seed)
        score = fit_scores(features[train], labels[train])
        on_val, on_test = score(features[val]), score(features[test])
        for name, asked in others.items():
            for which, unknown in score(asked).items():
                known, threshold = on_test[which], find_threshold(on_val[which], TURNED_AWAY)
                is_known = np.repeat([True, False], [len(known), len(unknown)])
                auc = roc_auc_score(is_known, np.concatenate([known, unknown]))
                rows.append((name, which, auc, *(is_unknown(each, threshold).mean() for each in (known, unknown))))
    return pd.DataFrame(rows, columns=["unknown", "score", "auc", "test turned away", "unknown turned away"])


def tell(features: np.ndarray, breeds: np.ndarray, others: dict[str, np.ndarray]) -> pd.DataFrame:
    """One row a seed: what breeds left out in turn tell, and what is so, with a threshold by val and train.

    ``told_*`` are `summarise`'s; ``due_*`` is the interval of the share of test that may be turned away; the rest are
    the shares of test and of each of ``others`` that are.
    """
    rows, names = [], sorted({*breeds.tolist()})
    for seed in SEEDS:
        train, val, test = split(encode(breeds, names), seed)
        known, asked = (Photos(features[which], breeds[which], which) for which in (train, val))
        told = summarise(leave_breeds_out(known, asked, TURNED_AWAY, LEVEL, seed), LEVEL, seed)
        scores = score_known(known, asked)
        threshold, due = find_threshold(scores, TURNED_AWAY), turned_away_interval(len(scores), TURNED_AWAY, LEVEL)
        means = breed_means(known.features, encode(known.breeds, names))
        so = {
            name: is_unknown(familiarity(means, each), threshold).mean()
            for name, each in {"test": features[test], **others}.items()
        }
        rows.append(
            {f"told_{name}": value for name, value in told.items()} | {"due_low": due[0], "due_high": due[1]} | so
        )
    return pd.DataFrame(rows, index=pd.Index(SEEDS, name="seed"))


def main() -> None:
    """Print, for each unknown folder and score, mean and standard deviation over the seeds; then `tell`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unknown", description=__doc__.splitlines()[0])
    parser.add_argument("known", type=Path, help="folder with one sub-folder a breed")
    parser.add_argument("unknown", type=Path, nargs="+", help="folder of anything else")
    parser.add_argument("--without", nargs="*", default=[], metavar="BREED", help="sub-folders to leave out there")
    parser.add_argument("--network", default="EfficientNetLite2:260", metavar="NETWORK:PIXELS")
    arguments = parser.parse_args()
    name, _, side = arguments.network.partition(":")
    backbone = build_backbone(name, int(side), paths.WEIGHTS / f"{name}-bundled.weights.h5")
    network = keras.Model(backbone.input, pool(backbone.output))
    files = [file for file in list_photos(arguments.known, []) if file.parent != arguments.known]
    breeds = [file.parent.name for file in files]
    others = {each.name: run_network(network, list_photos(each, arguments.without)) for each in arguments.unknown}
    features = run_network(network, files)
    table = compare(features, encode(breeds, sorted({*breeds})), others)
    print(table.groupby(["unknown", "score"], sort=False).agg(["mean", "std"]).round(4).to_string())
    print(tell(features, np.array(breeds), others).round(4).T.to_string())


if __name__ == "__main__":
    main()
