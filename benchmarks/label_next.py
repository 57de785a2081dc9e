"""How many labels it takes to be nearly as good as with all of them, where `label_next` chooses whose, and at random.

    OMP_NUM_THREADS=1 python -m benchmarks.label_next PHOTOS [--breeds COUNT] [--batch COUNT] [--features FOLDER]
        [--chart FILE]

PHOTOS has one sub-folder a breed; --breeds takes so many of them. Train begins with two labels a breed; in each round a
logistic regression on EfficientNet-Lite2's features, fitted to the labels so far, is asked about the others, and
--batch of them, as many as there are breeds if not given, are labelled. `SEEDS` splits. Tells the labels that it takes
to reach 95 % of the accuracy with all of them, and stay there: on val, which compares the strategies, then on test,
which is opened for chance and for the one that was `KEPT`. --chart draws the curves on val.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from sklearn.cluster import kmeans_plusplus
from tqdm import tqdm

from benchmarks.labelled_features import Photos, options, read
from stages.lib.core.params import load_params
from stages.lib.familiarity.scores import normalise
from stages.lib.probes.active_learning import choose_to_label, margins
from stages.lib.probes.linear_probe import linear_probe

SEEDS = range(1, 11)
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
KEPT = "least sure, no two alike"  # what `label_next` does
OPENED = {"val": [*STRATEGIES], "test": ["at random", KEPT]}  # for which strategies


def first_labels(labels: np.ndarray, generator: np.random.Generator) -> list[int]:
    """`START` photos of each breed: rows."""
    return [
        int(row)
        for label in np.unique(labels)
        for row in generator.choice(np.flatnonzero(labels == label), START, replace=False)
    ]


def learn(
    photos: Photos, splits: np.ndarray, scored: str, choose: Choose, batch: int, seed: int
) -> list[tuple[int, float]]:
    """Label train round after round: how many labels there were, and the accuracy on ``scored``; all of them last."""
    train, judged = splits == "train", splits == scored
    features, labels = photos.features[train], photos.labels[train]
    unit, labelled, curve = normalise(features), first_labels(labels, np.random.default_rng(seed)), []
    while True:
        probe = linear_probe().fit(features[labelled], labels[labelled])
        curve.append((len(labelled), float(probe.score(photos.features[judged], photos.labels[judged]))))
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
    """Accuracy on val by labels, a line a strategy, mean of the seeds with its standard error."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    sns.lineplot(table, x="labels", y="accuracy", hue="strategy", errorbar="se", ax=axes)
    axes.set(title=f"Accuracy on val by labels, mean of {len(SEEDS)} seeds and its standard error")
    axes.grid(alpha=0.3)
    return figure


def main() -> None:
    """Print what each strategy needs."""
    parser = options("label_next", __doc__)
    parser.add_argument("--batch", type=int, help="labels a round")
    parser.add_argument("--chart", type=Path, help="file to draw the curves to")
    arguments = parser.parse_args()
    params = load_params()
    photos = read(arguments.photos, arguments.breeds, params.data.duplicate_distance, arguments.features)
    needed, points = [], []
    runs = [(seed, scored, name) for seed in SEEDS for scored, names in OPENED.items() for name in names]
    for seed, scored, name in tqdm(runs, mininterval=10):
        batch, splits = arguments.batch or len(photos.breeds), photos.splits(params, seed)
        curve = learn(photos, splits, scored, STRATEGIES[name], batch, seed)
        run = {"seed": seed, "scored": scored, "strategy": name}
        needed.append(run | {"labels": labels_needed(curve), "of": curve[-1][0], "accuracy": curve[-1][1]})
        points += [run | {"labels": count, "accuracy": value} for count, value in curve if count <= curve[-1][0] / 2]
    by_run = pd.DataFrame(needed).groupby(["scored", "strategy"], sort=False)
    print(by_run["labels"].agg([list, "median", "mean", "std"]).round(1).to_string())
    print(by_run[["of", "accuracy"]].mean().round(4).to_string())
    table = pd.DataFrame(points)
    table = table[table.groupby("labels")["seed"].transform("nunique") == len(SEEDS)]
    shown = np.quantile(table["labels"].unique(), [0, 0.1, 0.25, 0.5, 1], method="nearest")
    at_shown = table[table["labels"].isin(shown)].groupby(["scored", "strategy", "labels"], sort=False)["accuracy"]
    print(at_shown.agg(["mean", "std"]).unstack().round(4).to_string())
    if arguments.chart:
        draw(table[table["scored"] == "val"]).savefig(arguments.chart, dpi=120)


if __name__ == "__main__":
    main()
