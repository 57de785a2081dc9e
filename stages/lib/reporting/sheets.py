"""Sheets of pictures: what the networks train on."""

import pandas as pd
from matplotlib.figure import Figure

from stages.lib.core import paths
from stages.lib.reporting.charts import SHEET_COLUMNS, contact_sheet

TRAIN = paths.PREPARED / "train"


def training_pictures() -> Figure:
    """Some training photos of each breed, as the networks see them."""
    manifest = pd.read_csv(paths.PREPARED / "manifest.csv", dtype=str, keep_default_na=False)
    rows = {
        str(breed): [TRAIN / f"{file}.png" for file in photos["file"].head(SHEET_COLUMNS)]
        for breed, photos in manifest[manifest["split"] == "train"].groupby("breed")
    }
    return contact_sheet(rows, "Training pictures, as the networks see them")


def random_views() -> Figure:
    """One training photo of each breed beside its views."""
    manifest = pd.read_csv(paths.PREPARED / "manifest.csv", dtype=str, keep_default_na=False)
    views = pd.read_csv(paths.VIEWS / "views.csv", dtype=str, keep_default_na=False)
    first = (manifest[manifest["split"] == "train"].groupby("breed")["file"].min() + ".png").to_dict()
    shown = views[views["photo"].isin(first.values())]  # of tens of thousands
    rows = {
        str(breed): [TRAIN / photo, *(paths.VIEWS / view for view in shown.loc[shown["photo"] == photo, "view"])]
        for breed, photo in first.items()
    }
    return contact_sheet(rows, "A training picture of each breed, and its random views")
