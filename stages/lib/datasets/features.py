"""The rows of data/features, and which photo each of them shows or is a view of."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.lib.core import paths
from stages.lib.core.arrays import Rows
from stages.lib.core.errors import UserError
from stages.lib.datasets.pictures import find_pictures

UNLISTED = ""  # the photo of a view that views.csv does not have
REMEDY = "run `dvc repro features` first"


def write_breeds(breeds: list[str], folder: Path, split: str) -> None:
    """Write the breeds of ``split``'s pictures to ``folder``, in the order of its array."""
    pd.DataFrame({"breed": breeds}).to_csv(folder / f"{split}.csv", index=False)


def read_features(folder: Path, split: str) -> tuple[Rows, list[str]]:
    """The rows of ``split``.npy, still on disk, and the breeds that `write_breeds` wrote beside them."""
    breeds = pd.read_csv(folder / f"{split}.csv", dtype=str, keep_default_na=False)["breed"].tolist()
    return Rows(folder / f"{split}.npy"), breeds


class PhotoFeatures(NamedTuple):
    """A split's photos, without views."""

    photos: list[str]  # as the manifest names them
    features: np.ndarray  # float32 (photos, channels)
    breeds: np.ndarray  # str (photos,)
    groups: np.ndarray  # int (photos,), equal for near duplicates


class FeatureRows(NamedTuple):
    """A split's rows, in the order in which the stage `features` ran over the pictures: photos, then their views."""

    features: Rows  # float32 (pictures, channels), still on disk
    breeds: list[str]
    photos: list[str]  # below data/prepared, such as "train/Beagle/1.jpg.png"; of a view, the photo that it was made of
    views: np.ndarray  # bool (pictures,): whether it is a view


def require(*needed: Path) -> None:
    """Raise `UserError` for the first path that is not there."""
    for path in needed:
        if not path.exists():
            raise UserError(f"{path} is not here: {REMEDY}.")


def not_alike(backbone: str, variant: str) -> UserError:
    """The error of features that are not those of the pictures."""
    folder = paths.FEATURES / backbone / variant
    return UserError(f"{folder} is not of the pictures in {paths.PREPARED} and {paths.AUGMENTED}: {REMEDY}.")


def read_rows(backbone: str, variant: str, split: str) -> FeatureRows:
    """Read which picture is which in data/features/<backbone>/<variant>/<split>.npy; no picture is opened.

    Raises `UserError` where something is missing, or features, photos and views do not belong together.
    """
    folder, views = paths.FEATURES / backbone / variant, paths.AUGMENTED / variant
    require(folder, views / "views.csv")
    features, breeds = read_features(folder, split)
    listed = pd.read_csv(views / "views.csv", dtype=str, keep_default_na=False)
    photo_of_view = dict(zip(listed["view"], "train/" + listed["photo"], strict=True))

    files, found = find_pictures(paths.PREPARED / split, *([views] if split == "train" else []))
    photos, is_view = [], []
    for file in files:
        is_view.append(not file.is_relative_to(paths.PREPARED))
        if is_view[-1]:
            photos.append(photo_of_view.get(file.relative_to(views).as_posix(), UNLISTED))
        else:
            photos.append(file.relative_to(paths.PREPARED).as_posix())
    if found != breeds or len(breeds) != len(features) or UNLISTED in photos:
        raise not_alike(backbone, variant)
    return FeatureRows(features, breeds, photos, np.array(is_view))


def read_photos(backbone: str, variant: str, split: str) -> PhotoFeatures:
    """Read the photos of `read_rows`, without views, and from the manifest which are near duplicates.

    Raises `UserError` as `read_rows` does, also for a manifest of other photos.
    """
    rows = read_rows(backbone, variant, split)
    require(paths.PREPARED / "manifest.csv")
    places = np.flatnonzero(~rows.views)
    photos = [rows.photos[place].removeprefix(f"{split}/").removesuffix(".png") for place in places]
    manifest = pd.read_csv(paths.PREPARED / "manifest.csv", dtype=str, keep_default_na=False).set_index("file")
    if not set(photos) <= set(manifest.index):
        raise not_alike(backbone, variant)
    groups = manifest.loc[photos, "group"].astype(int).to_numpy()
    return PhotoFeatures(photos, rows.features[places], np.array(rows.breeds)[places], groups)
