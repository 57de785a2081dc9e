"""The arrays of data/features and data/activations, and which photo each of their rows shows or is a view of."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.lib.core import paths
from stages.lib.core.arrays import Rows
from stages.lib.core.errors import UserError
from stages.lib.datasets.pictures import name_photos

REMEDY = "run `dvc repro features view_features` first"


class PhotoFeatures(NamedTuple):
    """A split's photos, without views."""

    photos: list[str]  # as the manifest names them
    features: np.ndarray  # float32 (photos, channels)
    breeds: np.ndarray  # str (photos,)
    groups: np.ndarray  # int (photos,), equal for near duplicates


def require(*needed: Path) -> None:
    """Raise `UserError` for the first path that is not there."""
    for path in needed:
        if not path.exists():
            raise UserError(f"{path} is not here: {REMEDY}.")


def describe_photos(files: list[Path], split: str) -> pd.DataFrame:
    """What the rows of a split's pictures show: photo, breed, group (equal for near duplicates), view (False)."""
    photos = name_photos(files, paths.PREPARED / split)
    listed = pd.read_csv(paths.PREPARED / "groups.csv", dtype={"file": str}, keep_default_na=False).set_index("file")
    breeds = [photo.partition("/")[0] for photo in photos]
    return pd.DataFrame(
        {"photo": photos, "breed": breeds, "group": listed.loc[photos, "group"].tolist(), "view": False}
    )


def describe_views(files: list[Path], photos: pd.DataFrame) -> pd.DataFrame:
    """What the rows of views show, as `describe_photos` does: of each view the row of its photo in ``photos``."""
    listed = pd.read_csv(paths.VIEWS / "views.csv", dtype=str, keep_default_na=False).set_index("view")
    shown = listed.loc[[file.relative_to(paths.VIEWS).as_posix() for file in files], "photo"]
    return photos.set_index("photo").loc[shown.str.removesuffix(".png").tolist()].reset_index().assign(view=True)


def read_rows(split: str, *folders: Path) -> tuple[Rows, pd.DataFrame]:
    """The rows of ``split``.npy in each of ``folders``, still on disk, and what they show: see `describe_photos`.

    Raises `UserError` where they are not there.
    """
    require(*folders)
    types = {"photo": str, "breed": str, "group": int, "view": bool}
    tables = [pd.read_csv(folder / f"{split}.csv", dtype=types, keep_default_na=False) for folder in folders]
    return Rows(*(folder / f"{split}.npy" for folder in folders)), pd.concat(tables, ignore_index=True)


def read_photos(backbone: str, variant: str, split: str) -> PhotoFeatures:
    """Read the photos of data/features/<backbone>/<variant>/<split>.npy, without views; see `read_rows`."""
    rows, shown = read_rows(split, paths.FEATURES / backbone / variant)
    shown = shown[~shown["view"]]
    breeds, groups = shown["breed"].to_numpy(str), shown["group"].to_numpy()
    return PhotoFeatures(shown["photo"].tolist(), rows[shown.index.to_numpy()], breeds, groups)
