"""Charts of how familiar photos are."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from stages.lib.reporting.charts import break_name, colours_for, panels

BINS = 24
KINDS = ("test", "unknown")


def familiarity(photos: Mapping[str, pd.DataFrame], thresholds: Mapping[str, float | None], subject: str) -> Figure:
    """How familiar test photos and unknown ones are, a panel each, with the threshold below which they are turned away.

    Args:
        photos: of what tells it, by name, the rows of plots/familiarity.csv.
        thresholds: of the same; None where nothing is turned away.
        subject: the test photos, in words.
    """
    figure, axes = panels(len(photos), height=2.9)
    colours = dict(zip(KINDS, colours_for(len(KINDS)), strict=True))
    for axis, (name, table) in zip(axes, photos.items(), strict=True):
        bins = np.linspace(table["familiarity"].min(), table["familiarity"].max(), BINS + 1).tolist()
        for kind, colour in colours.items():
            values = table.loc[table["split"] == kind, "familiarity"]
            if len(values):
                axis.hist(values, bins, weights=np.full(len(values), 1 / len(values)), color=colour, alpha=0.6)
        if (threshold := thresholds[name]) is not None:
            axis.axvline(threshold, color="0.2", linestyle="--", linewidth=1.5)
        axis.set_title(break_name(name), fontsize=11)
        axis.grid(axis="x", visible=False)
    figure.supxlabel("familiarity (cosine to the nearest breed)", fontsize=12)
    figure.supylabel("share of the photos", fontsize=12)
    handles = [
        Patch(color=colours["test"], alpha=0.6, label=subject),
        Patch(color=colours["unknown"], alpha=0.6, label="photos of anything else"),
        Line2D([], [], color="0.2", linestyle="--", label="none of these breeds, left of it"),
    ]
    figure.legend(handles=handles, ncols=1, loc="outside upper center", fontsize=11)
    return figure
