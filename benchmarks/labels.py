"""Labels swapped on purpose: how many of them are found among the first photos shown.

    OMP_NUM_THREADS=1 python -m benchmarks.labels PHOTOS [--breeds COUNT] [--features FOLDER]

PHOTOS has one sub-folder a breed, and its labels are taken for right; --breeds takes so many of them. Of train and val,
5, 10 and 20 % are swapped in three draws, each with a split of its own: to any other breed, or to the one that looks
most alike (by the cosine of the breeds' mean features). Test stays closed. Features of EfficientNet-Lite2 at 260 px, in
float32, are kept in --features. Several threads make such small fits ten times slower. All tables go to standard
output. What mending is worth, `benchmarks.mended_labels` tells.
"""

import itertools
from typing import NamedTuple

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from benchmarks.labelled_features import Photos, options, read
from stages.lib.core.params import load_params
from stages.lib.familiarity.scores import breed_means
from stages.lib.probes.label_errors import FOLDS

SHARES = (0.05, 0.1, 0.2)
DRAWS = (1, 2, 3)
SHOWN = (1, 1.5, 2)  # times as many as were swapped
STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.1, 1.0)  # C of the logistic regression
RANKINGS = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
FILTERS = ("prune_by_noise_rate", "prune_by_class", "both", "confident_learning", "predicted_neq_given")


class Draw(NamedTuple):
    """Photos of train and val, some of them with another's label."""

    features: np.ndarray  # (photos, channels)
    right: np.ndarray  # int (photos,)
    given: np.ndarray  # int (photos,), as swapped
    groups: np.ndarray  # int (photos,)
    val: np.ndarray  # bool (photos,)
    test_features: np.ndarray
    test_labels: np.ndarray

    @property
    def swapped(self) -> np.ndarray:
        """bool (photos,)."""
        return self.given != self.right


def most_alike(photos: Photos) -> np.ndarray:
    """The breed that looks most like each: int (breeds,)."""
    means = breed_means(photos.features, photos.labels)
    cosines = means @ means.T - 2 * np.eye(len(means))
    return cosines.argmax(axis=1)


def swap(photos: Photos, splits: np.ndarray, share: float, to: str, seed: int) -> Draw:
    """Swap the labels of ``share`` of train and val, ``to`` "any other" breed or "look-alike"."""
    generator, rest = np.random.default_rng(seed), np.flatnonzero(splits != "test")
    test = splits == "test"
    right = photos.labels[rest]
    chosen = generator.choice(len(rest), round(share * len(rest)), replace=False)
    given = right.copy()
    if to == "look-alike":
        given[chosen] = most_alike(photos)[right[chosen]]
    else:
        given[chosen] = (right[chosen] + generator.integers(1, len(photos.breeds), len(chosen))) % len(photos.breeds)
    groups, val = photos.groups[rest], splits[rest] == "val"
    return Draw(photos.features[rest], right, given, groups, val, photos.features[test], photos.labels[test])


def probe(strength: float, scaled: bool) -> Pipeline:
    """A logistic regression on features, each of unit variance if ``scaled``."""
    fitted = LogisticRegression(C=strength, max_iter=2000)
    return make_pipeline(StandardScaler(), fitted) if scaled else make_pipeline(fitted)


def out_of_fold(draw: Draw, classifier: Pipeline, seed: int) -> np.ndarray:
    """As `stages.lib.probes.label_errors` does: (photos, breeds)."""
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    return cross_val_predict(
        classifier, draw.features, draw.given, groups=draw.groups, cv=folds, method="predict_proba"
    )


def found(order: np.ndarray, swapped: np.ndarray) -> dict[str, float]:
    """Which share of the swapped is among the first shown, which ``order`` lists and may be few."""
    count = int(swapped.sum())
    return {f"{times:g}x": float(swapped[order[: round(times * count)]].sum() / count) for times in SHOWN}


def rank(draw: Draw, probabilities: np.ndarray) -> dict[str, tuple[np.ndarray, dict[str, float]]]:
    """For each ranking of all photos, and each filter ordered by self-confidence: the order, and what it finds."""
    tables = {}
    for ranking in RANKINGS:
        order = get_label_quality_scores(draw.given, probabilities, method=ranking).argsort(kind="stable")
        tables[f"all by {ranking}"] = order
    confidence = tables["all by self_confidence"]
    for name in FILTERS:
        listed = find_label_issues(draw.given, probabilities, filter_by=name, n_jobs=1)
        tables[f"filter {name}"] = confidence[listed[confidence]]
    return {
        name: (order, found(order, draw.swapped) | {"listed": len(order) / draw.swapped.sum()})
        for name, order in tables.items()
    }


def draws(photos: Photos) -> list[tuple[tuple[str, float, int], Draw]]:
    """All draws, by how they were made."""
    params = load_params()
    made = []
    for to, share, seed in itertools.product(("any other", "look-alike"), SHARES, DRAWS):
        made.append(((to, share, seed), swap(photos, photos.splits(params, seed), share, to, seed)))
    return made


def main() -> None:
    """Print what is found, of all draws and by their kind."""
    arguments = options("labels", __doc__).parse_args()
    params = load_params()
    photos = read(arguments.photos, arguments.breeds, params.data.duplicate_distance, arguments.features)
    print(f"{len(photos.labels)} photos of {len(photos.breeds)} breeds: {', '.join(photos.breeds)}")
    rows = []
    for (to, share, seed), draw in tqdm(draws(photos), mininterval=10):
        for scaled, strength in itertools.product((True, False), STRENGTHS):
            probabilities = out_of_fold(draw, probe(strength, scaled), seed)
            name = f"{'scaled' if scaled else 'as they are'}, C = {strength:g}"
            for ranking, (_, values) in rank(draw, probabilities).items():
                rows.append({"to": to, "share": share, "seed": seed, "probe": name, "ranking": ranking} | values)
    table = pd.DataFrame(rows)
    columns = [*(f"{times:g}x" for times in SHOWN), "listed"]
    with pd.option_context("display.width", 200, "display.max_rows", None):
        print(table.groupby(["ranking", "probe"], sort=False)[columns].mean().round(3).to_string())
        by_kind = table.groupby(["to", "share", "ranking", "probe"], sort=False)[columns].agg(["mean", "min"])
        print(by_kind.round(3).to_string())


if __name__ == "__main__":
    main()
