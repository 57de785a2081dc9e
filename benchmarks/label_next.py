"""How many labels it takes to be nearly as good as with all of them, where `label_next` chooses whose, and at random.

    OMP_NUM_THREADS=1 python -m benchmarks.label_next PHOTOS [--breeds COUNT] [--batch COUNT] [--features FOLDER]
        [--chart FILE]

PHOTOS has one sub-folder a breed; --breeds takes so many of them. Train + val begin with two labels a breed; in each
round a logistic regression on EfficientNet-Lite2's features, fitted to the labels so far, is asked about the others,
and --batch of them, as many as there are breeds if not given, are labelled. `SEEDS` splits; test is opened for the
accuracies alone. Tells the labels that it takes to reach 95 % of the accuracy with all of them, and stay there; --chart
draws the curves.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from sklearn.cluster import kmeans_plusplus
from tqdm import tqdm

from benchmarks.labelled_features import Photos, read
from stages.lib.core.params import load_params
from stages.lib.familiarity.scores import normalise
from stages.lib.probes.active_learning import choose_to_label, margins
from stages.lib.probes.linear_probe import linear_probe

SEEDS = (1, 2, 3)
START = 2  # labels a breed
ENOUGH = 0.95  # of the accuracy with all labels

# of photos not labelled yet: probabilities (n, breeds), features (n, channels), how many to choose, a seed; rows
Choose = Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]


def at_random(probabilities: np.ndarray, features: np.ndarray, count: int, seed: int) -> np.ndarray:  # noqa: ARG001
    """Any of them."""
    return np.random.default_rng(seed).permutation(len(features))[:count]


def least_sure(probabilities: np.ndarray, features: np.ndarray, count: int, seed: int) -> np.ndarray:  # noqa: ARG001
    """By margin alone (Scheffer et al., Active hidden Markov models for information extraction, 2001)."""
    return np.argsort(margins(probabilities), kind="stable")[:count]


def badge(probabilities: np.ndarray, features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """By k-means++ over the gradients of the loss of the likeliest breed (Ash et al., BADGE, ICLR 2020)."""
    likeliest = np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]
    gradients = ((probabilities - likeliest)[:, :, None] * features[:, None]).reshape(len(features), -1)
    return kmeans_plusplus(gradients, min(count, len(features)), random_state=seed)[1]


STRATEGIES: dict[str, Choose] = {
    "at random": at_random,
    "least sure": least_sure,
    "badge": badge,
    "least sure, no two alike": choose_to_label,
}


def first_labels(labels: np.ndarray, generator: np.random.Generator) -> list[int]:
    """`START` photos of each breed: rows."""
    return [
        int(row)
        for label in np.unique(labels)
        for row in generator.choice(np.flatnonzero(labels == label), START, replace=False)
    ]


def learn(photos: Photos, splits: np.ndarray, choose: Choose, batch: int, seed: int) -> list[tuple[int, float]]:
    """Label round after round: how many labels there were, and the accuracy on test with them; all of them last."""
    rest, test = np.flatnonzero(splits != "test"), splits == "test"
    features, labels = photos.features[rest], photos.labels[rest]
    unit, labelled, curve = normalise(features), first_labels(labels, np.random.default_rng(seed)), []
    while True:
        probe = linear_probe().fit(features[labelled], labels[labelled])
        curve.append((len(labelled), float(probe.score(photos.features[test], photos.labels[test]))))
        others = np.setdiff1d(np.arange(len(labels)), labelled)
        if not len(others):
            return curve
        chosen = choose(probe.predict_proba(features[others]), unit[others], batch, seed + len(labelled))
        labelled += others[chosen].tolist()


def labels_needed(curve: list[tuple[int, float]]) -> int:
    """From how many labels on the accuracy is `ENOUGH` of the last."""
    enough = ENOUGH * curve[-1][1]
    return next(
        count for place, (count, _) in enumerate(curve) if all(reached >= enough for _, reached in curve[place:])
    )


def draw(table: pd.DataFrame) -> Figure:
    """Accuracy by labels, a line a strategy, with the range of the seeds."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    sns.lineplot(table, x="labels", y="accuracy", hue="strategy", errorbar=("pi", 100), ax=axes)
    axes.set(title="Accuracy on test by labels, mean and range of three seeds")
    axes.grid(alpha=0.3)
    return figure


def main() -> None:
    """Print what each strategy needs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_next", description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder with one sub-folder a breed")
    parser.add_argument("--breeds", type=int, help="how many of them, drawn once; all if not given")
    parser.add_argument("--batch", type=int, help="labels a round")
    parser.add_argument("--features", type=Path, help="folder to keep the network's features in")
    parser.add_argument("--chart", type=Path, help="file to draw the curves to")
    arguments = parser.parse_args()
    params = load_params()
    photos = read(arguments.photos, arguments.breeds, params.data.duplicate_distance, arguments.features)
    needed, points = [], []
    for seed in SEEDS:
        splits = photos.splits(params, seed)
        for name, choose in tqdm(STRATEGIES.items(), desc=f"seed {seed}", mininterval=10):
            curve = learn(photos, splits, choose, arguments.batch or len(photos.breeds), seed)
            needed.append({"seed": seed, "strategy": name, "labels": labels_needed(curve), "of": curve[-1][0]})
            points += [
                {"seed": seed, "strategy": name, "labels": count, "accuracy": accuracy}
                for count, accuracy in curve
                if count <= curve[-1][0] / 2
            ]
    print(pd.DataFrame(needed).pivot(index="strategy", columns="seed", values=["labels", "of"]).to_string())
    table = pd.DataFrame(points)
    table = table[table.groupby("labels")["seed"].transform("nunique") == len(SEEDS)]
    for count in np.quantile(table["labels"].unique(), [0, 0.1, 0.25, 0.5, 1], method="nearest"):
        print(count, table[table["labels"] == count].groupby("strategy")["accuracy"].mean().round(4).to_dict())
    if arguments.chart:
        draw(table).savefig(arguments.chart, dpi=120)


if __name__ == "__main__":
    main()
