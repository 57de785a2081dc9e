"""Charts of how models were trained and what they cost."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import ScaledTranslation

from stages.lib.reporting.charts import (
    NAME_WIDTH,
    ROLE_COLOURS,
    ROLE_MARKS,
    break_name,
    colours_for,
    legend_of_roles,
    panels,
    role,
)

APART = 9  # points between the marks of a family, whose models take the same time and would cover one another
RING: dict[str, Any] = {"color": "0.15", "fillstyle": "none", "clip_on": False}
BEST = "best on val: "


def learning_curves(histories: Mapping[str, pd.DataFrame], families: Mapping[str, tuple[str, ...]]) -> Figure:
    """Accuracy and loss over the steps, two panels a family: val as a line, train dotted.

    ``histories`` holds the rows of plots/learning_curves.csv of each model.
    """
    figure, axes = panels(2 * len(families), height=2.7)
    for place, (family, models) in enumerate(families.items()):
        pair = dict(zip(("accuracy", "loss"), axes[2 * place : 2 * place + 2], strict=True))
        for model in models:
            history, colour = histories[model], ROLE_COLOURS[role(model)]
            for measure, axis in pair.items():
                axis.plot(history["step"], history[f"val_{measure}"], color=colour, label=model, linewidth=2)
                axis.plot(history["step"], history[measure], color=colour, linestyle=":", linewidth=1)
        pair["accuracy"].set(ylabel="accuracy", ylim=(0, 1.02))
        # the first train losses, before there is anything to see, may be ten times as high
        top = 1.05 * max(histories[model]["val_loss"].max() for model in models)
        pair["loss"].set(ylabel="loss (nats)", ylim=(0, top))
        for axis in pair.values():
            axis.set_title(break_name(family), fontsize=11)
    figure.supxlabel("optimizer steps", fontsize=12)
    legend_of_roles(figure, {"val": "-", "train": ":"}, "Learning curves")
    return figure


def costs(
    scores: Mapping[str, Mapping[str, float]],
    milliseconds: Mapping[str, float],
    families: Mapping[str, tuple[str, ...]],
    best: str,
    confidence_level: float,
    subject: str,
) -> Figure:
    """Accuracy with its interval over the time that a photo takes: a colour a family, a mark a role.

    Args:
        scores: of each model: accuracy, accuracy_low and accuracy_high.
        milliseconds: a photo, one at a time, of each model.
        families: the models by the network that they have in common.
        best: the model that is best on val.
        confidence_level: of the intervals.
        subject: what was tested on.
    """
    width = 7.5 + NAME_WIDTH * max(len(BEST) + len(best), *map(len, families))  # inches, with the legend's
    figure, axis = plt.subplots(figsize=(width, 6), layout="constrained")
    colours = dict(zip(families, colours_for(len(families)), strict=True))
    for family, models in families.items():
        for place, model in enumerate(models):
            aside = ScaledTranslation(APART * (place - (len(models) - 1) / 2) / 72, 0, figure.dpi_scale_trans)
            style: dict[str, Any] = {"color": colours[family], "transform": axis.transData + aside}
            score, time = scores[model], milliseconds[model]
            axis.plot([time, time], [score["accuracy_low"], score["accuracy_high"]], linewidth=1, **style)
            axis.plot(time, score["accuracy"], ROLE_MARKS[role(model)], markersize=8, label=model, **style)
            if model == best:
                axis.plot(time, score["accuracy"], "o", markersize=16, **{**style, **RING})
    axis.set_xscale("log")
    lowest = min(score["accuracy_low"] for score in scores.values())
    axis.set(xlim=(min(milliseconds.values()) / 2, 2 * max(milliseconds.values())), ylim=(max(0, lowest - 0.05), 1.02))
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set(xlabel="milliseconds a photo, one at a time", ylabel="accuracy")
    axis.set_title(f"Accuracy on {subject}, with {100 * confidence_level:g} % intervals, over the time it takes")
    legend_of_costs(axis, colours, best)
    return figure


def legend_of_costs(axis: Axes, colours: Mapping[str, Any], best: str) -> None:
    """Say beside the chart which family has which colour, which role has which mark, and which model has the ring."""
    handles = [
        *(Line2D([], [], color=colour, linewidth=4, label=family) for family, colour in colours.items()),
        *(Line2D([], [], color="0.3", linestyle="", marker=mark, label=name) for name, mark in ROLE_MARKS.items()),
        Line2D([], [], linestyle="", marker="o", markersize=12, label=f"{BEST}{best}", **RING),
    ]
    axis.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1))
