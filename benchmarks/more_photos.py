"""Of which ten breeds do more photos help most? Rankings compared, by really adding photos of the ten first.

    OMP_NUM_THREADS=1 python -m benchmarks.more_photos

reads the features of train and val that `dvc repro` made with `main_backbone`; test stays closed. Each fifth is held
out in turn. Of the other photos there are half of each breed's ("equal"), or 5, 9 and 16 of a third of the breeds each
("unequal"), which rank the breeds; then as many again, or 8, are added of the ten first. Printed is what a linear probe
gains on the photos held out, mean and standard error over the folds of all draws, as if these were independent.
Adjusted: probabilities divided by the breeds' shares of the training photos.
"""

from concurrent.futures import ProcessPoolExecutor
from functools import cache

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from stages.lib.core.encoding import encode
from stages.lib.core.params import load_params
from stages.lib.datasets.features import read_photos
from stages.lib.probes.linear_probe import linear_probe, out_of_fold
from stages.lib.probes.more_photos import log_losses

TOP = 10  # breeds that get more photos
FOLDS = 5
DRAWS = (0, 1, 2)  # seeds of the folds
FEW, ADDED = (5, 9, 16), 8  # photos of a breed, where they are unequal


@cache
def photos() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (n, channels), labels int (n,) and groups (n,) of train and val."""
    read = [read_photos(load_params().main_backbone, "plain", split) for split in ("train", "val")]
    names = ("features", "breeds", "groups")
    features, breeds, groups = (np.concatenate([getattr(found, name) for found in read]) for name in names)
    return features, encode(breeds, sorted(set(breeds))), groups


def split(places: np.ndarray, folds: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each fold the places of the others, and its own."""
    _, labels, groups = photos()
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return [(places[others], places[own]) for others, own in splits.split(places, labels[places], groups[places])]


def take(pool: np.ndarray, kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The places of the photos that there are, and of those that may be added."""
    if kind == "equal":
        return split(pool, 2, seed)[0]
    labels, generator = photos()[1], np.random.default_rng(seed)
    shuffled = [generator.permutation(pool[labels[pool] == breed]) for breed in np.unique(labels)]
    few = list(zip(shuffled, generator.permutation(np.resize(FEW, len(shuffled))), strict=True))
    return np.concatenate([of[:n] for of, n in few]), np.concatenate([of[n : n + ADDED] for of, n in few])


def ask(fitted: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """What a probe fitted to some photos thinks of others: (asked, breeds)."""
    features, labels, _ = photos()
    probe = linear_probe().fit(features[fitted], labels[fitted])
    probabilities = np.zeros((len(asked), labels.max() + 1))
    probabilities[:, probe.classes_] = probe.predict_proba(features[asked])
    return probabilities


def rank(places: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """For each ranking a score of each breed; the highest come first."""
    features, labels, groups = (each[places] for each in photos())
    count = np.bincount(labels)
    now = out_of_fold(linear_probe(), features, labels, groups, FOLDS, seed)
    halves = np.zeros((2, *now.shape))
    for others, asked in split(places, FOLDS, seed):
        for half, (fitted, _) in zip(halves, split(others, 2, seed), strict=True):
            half[np.isin(places, asked)] = ask(fitted, places[np.isin(places, asked)])
    right, loss = now.argmax(axis=1) == labels, log_losses(now, labels)
    of_photos = {
        "lowest recall": 1.0 - right,
        "recall gained from half to all": right - (halves.argmax(axis=2) == labels).mean(axis=0),
        "log loss": loss,
        "log loss gained from half to all": np.mean([log_losses(half, labels) for half in halves], axis=0) - loss,
        "log loss / photos": loss / count[labels],
    }
    means = {name: np.bincount(labels, values) / count for name, values in of_photos.items()}
    return {"fewest photos": -count, **means, "at random": np.zeros(len(count))}


def score(fitted: np.ndarray, held: np.ndarray) -> pd.DataFrame:
    """Whether a probe is right about each photo held out, adjusted too, and its log loss."""
    labels, said = photos()[1], ask(fitted, held)
    right, adjusted = (each.argmax(1) == labels[held] for each in (said, said / np.bincount(labels[fitted])))
    loss = log_losses(said, labels[held])
    return pd.DataFrame({"accuracy": right, "adjusted": adjusted, "log loss": loss}, dtype=float)


def measure(task: tuple[str, int, int]) -> list[dict[str, object]]:
    """What each ranking gains in one fold of a draw, and what all breeds together do."""
    kind, draw, fold = task
    labels, generator = photos()[1], np.random.default_rng((draw, fold))
    pool, held = split(np.arange(len(labels)), FOLDS, draw)[fold]
    here, more = take(pool, kind, draw)
    before, rows = score(here, held), []
    first = {name: np.lexsort((generator.random(len(of)), -of))[:TOP] for name, of in rank(here, draw).items()}
    for name, chosen in {**first, "all breeds": labels}.items():
        gain = score(np.concatenate([here, more[np.isin(labels[more], chosen)]]), held) - before
        own = gain["accuracy"][np.isin(labels[held], chosen)].mean()
        rows.append({"kind": kind, "ranking": name, **gain.mean(), "recall of the ten": own})
    return [*rows, {"kind": kind, "ranking": "(before)", **before.mean()}]


def main() -> None:
    """Print the table."""
    tasks = [(kind, draw, fold) for kind in ("equal", "unequal") for draw in DRAWS for fold in range(FOLDS)]
    with ProcessPoolExecutor() as pool:
        rows = [row for found in tqdm(pool.map(measure, tasks), total=len(tasks)) for row in found]
    print(pd.DataFrame(rows).groupby(["kind", "ranking"]).agg(["mean", "sem"]).round(4).to_string())


if __name__ == "__main__":
    main()
