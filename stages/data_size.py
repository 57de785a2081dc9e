"""Train transfer's head on an eighth, a quarter, half and all of the training photos: would more of them help?

Reads   data/features/<main_backbone>/augmented, and which row shows which photo from the names in
        data/prepared/{train,val} and data/augmented/augmented
Makes   plots/data_size.csv: for each draw of photos and each size the accuracy on val and each breed's recall;
        data/data_size: which photos of val each training got right, which evaluate tests
Alone   python -m stages.data_size
Fits    nothing that is used elsewhere

The same share of each breed's photos is drawn, with all views of these, and smaller draws lie within larger ones. Every
training has transfer's settings and number of steps, and is scored on val, which steers it too: that makes all of the
accuracies a little high. Test stays closed.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from stages.lib.core import paths
from stages.lib.core.encoding import encode
from stages.lib.core.errors import run
from stages.lib.core.outputs import whole_file, whole_folder
from stages.lib.core.params import Transfer, load_params
from stages.lib.core.progress import Progress
from stages.lib.datasets.features import FeatureRows, read_rows
from stages.lib.networks.precision import set_precision
from stages.lib.training.heads import predict, train_head

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of each breed's training photos
REPEATS = 3  # draws of photos and trainings, for a spread


def draw_photos(photos: np.ndarray, labels: np.ndarray, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """For each of `SHARES`, the rows of so many of each breed's photos, one at least, and of their views: indices.

    Args:
        photos: int (rows,), which photo a row shows.
        labels: int (rows,), its breed.
        generator: decides which photos come first; each share takes the first ones.
    """
    shuffled = [generator.permutation(np.unique(photos[labels == label])) for label in np.unique(labels)]
    for share in SHARES:
        drawn = [of_breed[: max(1, round(share * len(of_breed)))] for of_breed in shuffled]
        yield np.flatnonzero(np.isin(photos, np.concatenate(drawn)))


def train_on_sizes(
    train: FeatureRows, val: FeatureRows, breeds: list[str], settings: Transfer, seed: int
) -> tuple[np.ndarray, list[int]]:
    """Train a head for each of `REPEATS` draws and `SHARES`.

    Returns:
        whether it is right about each photo of val, bool (repeats, shares, val photos); and how many photos each of the
        shares has.
    """
    photos = encode(train.photos, sorted(set(train.photos)))
    labels, val_labels = encode(train.breeds, breeds), encode(val.breeds, breeds)
    val_features = val.features[:]
    right = np.zeros((REPEATS, len(SHARES), len(val_labels)), bool)
    with Progress(desc="data_size", total=REPEATS * len(SHARES), unit="training") as bar:
        for repeat in range(REPEATS):
            own_seed = (seed + repeat) % 2**32
            drawn = list(draw_photos(photos, labels, np.random.default_rng(own_seed)))
            for size, rows in enumerate(drawn):
                head = train_head(
                    train.features.only(rows),
                    labels[rows],
                    val_features,
                    val_labels,
                    len(breeds),
                    settings,
                    own_seed,
                    "transfer in data_size",
                )
                right[repeat, size] = predict(head, val_features).argmax(axis=1) == val_labels
                bar.update()
    return right, [len(np.unique(photos[rows])) for rows in drawn]  # as many in each repeat


def tabulate(right: np.ndarray, photos: list[int], val_breeds: list[str]) -> pd.DataFrame:
    """One row a draw and size: repeat, share, photos, accuracy, and recall_<breed> of each breed, on val."""
    rows = []
    for repeat, of_sizes in enumerate(right):
        for share, count, answers in zip(SHARES, photos, of_sizes, strict=True):
            recalls = pd.Series(answers).groupby(np.array(val_breeds)).mean().add_prefix("recall_")
            row = {"repeat": repeat, "share": share, "photos": count, "accuracy": answers.mean()}
            rows.append(row | recalls.to_dict())
    return pd.DataFrame(rows)


def main() -> None:
    """Run the stage."""
    params = load_params()
    set_precision(params.precision)
    train, val = (read_rows(params.main_backbone, "augmented", split) for split in ("train", "val"))
    breeds = sorted(set(train.breeds))
    right, photos = train_on_sizes(train, val, breeds, params.transfer, params.seed)
    table = tabulate(right, photos, val.breeds)
    with whole_file(paths.PLOTS / "data_size.csv") as partial:
        table.to_csv(partial, index=False, float_format="%.6f")
    with whole_folder(paths.DATA_SIZE) as folder:
        np.save(folder / "right.npy", right)
        pd.DataFrame({"breed": val.breeds}).to_csv(folder / "val.csv", index=False)
    accuracies = ", ".join(
        f"{accuracy:.3f} with {count}" for accuracy, count in zip(right.mean((0, 2)), photos, strict=True)
    )
    print(f"data_size: accuracy on val by photos: {accuracies}")


if __name__ == "__main__":
    run(main)
