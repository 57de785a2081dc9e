"""Fit a linear probe on an eighth, a quarter, half and all of the training photos: would more help, and of which breed?

Reads   data/features/<main_backbone>/plain
Makes   plots/data_size.csv: for each draw of photos and each size the accuracy on val and each breed's recall;
        data/data_size, which evaluate tests: which photos of val each probe got right; the log loss on each photo of
        train and val of a probe that was fitted to others
Alone   python -m stages.data_size
Fits    logistic regressions on the frozen features; they are used for nothing else
Cost    17 CPU seconds with 115 breeds and 30 photos of each, 7 of them for the losses

The same share of each breed's photos is drawn, and smaller draws lie within larger ones. Val steers nothing here, and
test stays closed.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from stages.lib.core import paths
from stages.lib.core.encoding import encode
from stages.lib.core.errors import run
from stages.lib.core.outputs import whole_folder
from stages.lib.core.params import load_params
from stages.lib.core.progress import Progress
from stages.lib.core.tables import write_csv
from stages.lib.datasets.features import PhotoFeatures, read_photos
from stages.lib.probes.linear_probe import linear_probe
from stages.lib.probes.more_photos import out_of_fold_losses

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of each breed's training photos
REPEATS = 3  # draws of photos, for a spread


def draw_photos(breeds: np.ndarray, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """For each of `SHARES`, the places of so many of each breed's photos, one at least.

    Args:
        breeds: (photos,).
        generator: decides which photos come first; each share takes the first ones.
    """
    shuffled = [generator.permutation(np.flatnonzero(breeds == breed)) for breed in np.unique(breeds)]
    for share in SHARES:
        yield np.concatenate([of_breed[: max(1, round(share * len(of_breed)))] for of_breed in shuffled])


def fit_sizes(train: PhotoFeatures, val: PhotoFeatures, seed: int) -> tuple[np.ndarray, list[int]]:
    """Fit a probe for each of `REPEATS` draws and `SHARES`.

    Returns:
        whether it is right about each photo of val, bool (repeats, shares, val photos); and how many photos each of the
        shares has.
    """
    right = np.zeros((REPEATS, len(SHARES), len(val.breeds)), bool)
    with Progress(desc="data_size", total=REPEATS * len(SHARES), unit="fit") as bar:
        for repeat in range(REPEATS):
            drawn = list(draw_photos(train.breeds, np.random.default_rng(seed + repeat)))
            for size, places in enumerate(drawn):
                probe = linear_probe().fit(train.features[places], train.breeds[places])
                right[repeat, size] = probe.predict(val.features) == val.breeds
                bar.update()
    return right, [len(places) for places in drawn]  # as many in each repeat


def tabulate(right: np.ndarray, photos: list[int], val_breeds: np.ndarray) -> pd.DataFrame:
    """One row a draw and size: repeat, share, photos, accuracy, and recall_<breed> of each breed, on val."""
    rows = []
    for repeat, of_sizes in enumerate(right):
        for share, count, answers in zip(SHARES, photos, of_sizes, strict=True):
            recalls = pd.Series(answers).groupby(val_breeds).mean().add_prefix("recall_")
            row = {"repeat": repeat, "share": share, "photos": count, "accuracy": answers.mean()}
            rows.append(row | recalls.to_dict())
    return pd.DataFrame(rows)


def tabulate_losses(train: PhotoFeatures, val: PhotoFeatures, seed: int) -> pd.DataFrame:
    """One row a photo of train and val: photo, breed, and log_loss, see `out_of_fold_losses`."""
    photos, breeds = [*train.photos, *val.photos], [*train.breeds, *val.breeds]
    features, groups = (np.concatenate(both) for both in ((train.features, val.features), (train.groups, val.groups)))
    losses = out_of_fold_losses(features, encode(breeds, sorted(set(breeds))), groups, seed)
    return pd.DataFrame({"photo": photos, "breed": breeds, "log_loss": losses})


def main() -> None:
    """Run the stage."""
    params = load_params()
    train, val = (read_photos(params.main_backbone, "plain", split) for split in ("train", "val"))
    right, photos = fit_sizes(train, val, params.seed)
    table, losses = tabulate(right, photos, val.breeds), tabulate_losses(train, val, params.seed)
    write_csv(table, paths.PLOTS / "data_size.csv")
    with whole_folder(paths.DATA_SIZE) as folder:
        np.save(folder / "right.npy", right)
        write_csv(losses, folder / "losses.csv")
    accuracies = ", ".join(
        f"{accuracy:.3f} with {count}" for accuracy, count in zip(right.mean((0, 2)), photos, strict=True)
    )
    print(f"data_size: accuracy on val by photos: {accuracies}")


if __name__ == "__main__":
    run(main)
