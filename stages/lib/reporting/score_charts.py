"""Charts of what models score."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn import metrics

from stages.lib.reporting.charts import NAME_WIDTH, ROLE_COLOURS, break_name, legend_of_roles, panels, role

MATRIX_BREEDS = 20  # beyond which the numbers in a matrix' cells can't be read
SHORT_NAME = 9  # letters, for which a matrix has room
CONFUSED_PAIRS = 25
BREEDS_WITH_RECALLS = 30
CURVE_MARKS = "osD^vP*X"  # a breed each
LEAST_RISK = 0.05  # at the top of a scale: with no error at all, there is a scale nevertheless
FAMILY_GAP = 0.5  # rows between the models of two families
LEAST_COVERAGE = 0.05  # below it, one photo moves the risk up and down the whole chart


def confusion(actual: np.ndarray, predicted: np.ndarray, breeds: list[str], title: str) -> Figure:
    """Which breeds are taken for which: the whole matrix of `MATRIX_BREEDS` at most, of more the most confused pairs.

    ``actual`` and ``predicted`` are int (n,), places in ``breeds``.
    """
    counts = metrics.confusion_matrix(actual, predicted, labels=range(len(breeds)))
    return (confusion_matrix if len(breeds) <= MATRIX_BREEDS else confused_pairs)(counts, breeds, title)


def confusion_matrix(counts: np.ndarray, breeds: list[str], title: str) -> Figure:
    """Counts and shares of the row in the cells, the latter as colour too: rows are actual breeds, columns predicted.

    ``counts`` is int (breeds, breeds).
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = np.array([f"{count}\n{share:.0%}" for count, share in zip(counts.flat, shares.flat, strict=True)])
    side = 2.6 + 0.62 * len(breeds)  # inches
    more = max(0, NAME_WIDTH * (max(map(len, breeds)) - SHORT_NAME))  # for names, at the left and, turned, below
    figure, axes = plt.subplots(figsize=(side + 1 + more, side + 0.7 * more), layout="constrained")
    sns.heatmap(
        shares,
        annot=cells.reshape(counts.shape),
        fmt="",
        cmap="Blues",
        vmin=0,
        vmax=1,
        square=True,
        linewidths=0.5,
        xticklabels=breeds,
        yticklabels=breeds,
        cbar_kws={"label": "share of the actual breed"},
        ax=axes,
    )
    axes.set(xlabel="predicted breed", ylabel="actual breed", title=title)
    axes.tick_params(axis="x", rotation=45)
    axes.tick_params(axis="y", rotation=0)
    return figure


def confused_pairs(counts: np.ndarray, breeds: list[str], title: str) -> Figure:
    """The largest cells beside the diagonal of a confusion matrix as bars, by photos, then by their share of the breed.

    ``counts`` is int (breeds, breeds), rows are actual breeds. There are `CONFUSED_PAIRS` bars at most.
    """
    wrong = counts * (1 - np.eye(len(breeds), dtype=int))
    actual, predicted = np.nonzero(wrong)
    photos, of_breed = wrong[actual, predicted], counts.sum(axis=1)[actual]
    shown = np.lexsort((predicted, actual, -photos / of_breed, -photos))[:CONFUSED_PAIRS]
    names = [f"{breeds[one]}, taken for {breeds[other]}" for one, other in zip(actual, predicted, strict=True)]
    figure, axes = plt.subplots(figsize=(10, 1.6 + 0.28 * max(len(shown), 1)), layout="constrained")
    places = range(len(shown))
    bars = axes.barh(places, photos[shown], color=sns.color_palette("Blues", 3)[-1])
    axes.bar_label(bars, [f"{photos[pair]} of {of_breed[pair]}" for pair in shown], padding=4, fontsize=10)
    axes.set_yticks(places, [names[pair] for pair in shown], fontsize=10)
    axes.set(xlabel="photos", xlim=(0, 1.3 * photos.max(initial=1)), ylim=(max(len(shown), 1) - 0.4, -0.6))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y", visible=False)
    part = f"the {len(shown)} most confused of {len(photos)} pairs, with {photos[shown].sum()} of"
    figure.suptitle(f"{title}\n{part if len(shown) < len(photos) else 'all'} {photos.sum()} errors", fontsize=12)
    return figure


def accuracies(
    scores: Mapping[str, Mapping[str, float]],
    families: Mapping[str, tuple[str, ...]],
    confidence_level: float,
    subject: str,
) -> Figure:
    """The accuracy of each model with its interval, one row a model, family by family."""
    places: dict[str, float] = {}
    for number, models in enumerate(families.values()):
        places |= {model: len(places) + place + FAMILY_GAP * number for place, model in enumerate(models)}
    longest = max(map(len, places))
    figure, axis = plt.subplots(figsize=(6 + NAME_WIDTH * longest, 1.2 + 0.42 * len(places)), layout="constrained")
    for model, place in places.items():
        score = scores[model]
        axis.plot([score["accuracy_low"], score["accuracy_high"]], [place, place], color="C0", linewidth=3)
        axis.plot(score["accuracy"], place, "o", color="C0", markersize=9)
        axis.annotate(
            f"{score['accuracy']:.3f}", (score["accuracy"], place), (0, 8), textcoords="offset points", ha="center"
        )
    axis.set_yticks(list(places.values()), list(places))
    lowest = min(score["accuracy_low"] for score in scores.values())
    axis.set(xlim=(max(0, lowest - 0.05), 1.02), ylim=(max(places.values()) + 0.5, -0.9), xlabel="accuracy")
    axis.set_title(f"Accuracy on {subject}, with {100 * confidence_level:g} % intervals")
    return figure


def reliability(points: Mapping[str, Mapping[str, pd.DataFrame]]) -> Figure:
    """A panel a model: accuracy over confidence, without temperature scaling and with it.

    ``points`` holds, for each model and each of the two by name, what
    `stages.lib.evaluation.calibration.reliability` gives.
    """
    figure, axes = panels(len(points), height=3.3)
    for axis, (model, curves) in zip(axes, points.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=1, label="as sure as right")
        for style, marker, (name, table) in zip(("-", ":"), ("o", "s"), curves.items(), strict=True):
            colour = sns.color_palette("colorblind")[0 if style == "-" else 1]
            axis.plot(table["confidence"], table["accuracy"], color=colour, linestyle=style, linewidth=1.2, alpha=0.5)
            size = 12 + 160 * table["photos"] / table["photos"].sum()
            axis.scatter(
                table["confidence"], table["accuracy"], size, color=colour, marker=marker, alpha=0.8, label=name
            )
        axis.set(xlim=(0, 1.02), ylim=(-0.02, 1.04), aspect="equal")
        axis.set_title(break_name(model), fontsize=11)
    figure.supxlabel("confidence (mean of a bin; larger marks, more photos)", fontsize=12)
    figure.supylabel("accuracy (share right)", fontsize=12)
    legend = figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=11)
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set_sizes([60])
    return figure


def risk_coverage(curves: Mapping[str, pd.DataFrame], families: Mapping[str, tuple[str, ...]], subject: str) -> Figure:
    """The share of wrong answers over the share of photos that is answered: a panel a family, each with its own scale.

    ``curves`` holds, for each model, what `stages.lib.evaluation.selective.risk_coverage` gives.
    """
    figure, axes = panels(len(families), height=2.9)
    for axis, (family, models) in zip(axes, families.items(), strict=True):
        shown = {model: curves[model][curves[model]["coverage"] >= LEAST_COVERAGE] for model in models}
        for model, curve in shown.items():
            axis.plot(curve["coverage"], curve["risk"], color=ROLE_COLOURS[role(model)], label=model, linewidth=2)
        top = max(LEAST_RISK, *(curve["risk"].max() for curve in shown.values()))
        axis.set(xlim=(0, 1.01), ylim=(-0.02 * top, 1.05 * top))
        axis.set_title(break_name(family), fontsize=11)
    figure.supxlabel("coverage (share of photos answered)", fontsize=12)
    figure.supylabel("risk (share of answers wrong)", fontsize=12)
    legend_of_roles(figure, {}, f"If only the most confident answers count, on {subject}")
    return figure


def recalls(report: pd.DataFrame, subject: str) -> Figure:
    """The recall of each breed by each model, in numbers and as colour; of many breeds, those recognised least.

    ``report`` has the columns model, breed and recall.
    """
    table = report.pivot(index="breed", columns="model", values="recall")[report["model"].unique()]
    hardest = table.mean(axis=1).sort_values(kind="stable").index[:BREEDS_WITH_RECALLS]
    rows, columns = len(hardest), len(table.columns)
    left, below = (NAME_WIDTH * max(map(len, names)) for names in (hardest, table.columns))
    size = (2 + left + 0.55 * columns, 1.2 + below + 0.32 * rows)
    figure, axis = plt.subplots(figsize=size, layout="constrained")
    sns.heatmap(
        table.loc[hardest],
        annot=True,
        fmt=".2f",
        annot_kws={"fontsize": 9},
        cmap="Blues",
        vmin=0,
        vmax=1,
        linewidths=0.5,
        xticklabels=True,
        yticklabels=True,
        cbar_kws={"label": "recall"},
        ax=axis,
    )
    axis.set(xlabel="", ylabel="")
    axis.tick_params(axis="x", rotation=90)
    axis.tick_params(axis="y", rotation=0)
    some = f", the {rows} hardest of {len(table)} breeds" if rows < len(table) else ""
    figure.suptitle(f"Recall on {subject}{some}")
    return figure


def data_size(table: pd.DataFrame, val_photos: int) -> Figure:
    """Accuracy on val and recall of each breed over the number of training photos: points are draws, lines their means.

    Of many breeds, those are shown that rise most from half of the photos to all. ``table`` has the columns repeat,
    share, photos, accuracy, and recall_<breed>.
    """
    means = table.drop(columns="repeat").groupby("share").mean()
    recalls = means.filter(regex="^recall_").rename(columns=lambda name: name.removeprefix("recall_"))
    gains = (recalls.iloc[-1] - recalls.iloc[-2]).sort_values(ascending=False, kind="stable")
    shown = recalls[sorted(gains.index[: len(CURVE_MARKS)])]
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.6), sharex=True, layout="constrained")
    axes[0].plot(table["photos"], table["accuracy"], "o", color="C0", alpha=0.4, label="a draw of photos")
    axes[0].plot(means["photos"], means["accuracy"], color="C0", linewidth=2, label="mean")
    axes[0].set(ylabel="accuracy", title=f"Accuracy on the {val_photos} photos of val")
    axes[0].legend(loc="lower right")
    for breed, mark in zip(shown, CURVE_MARKS[: len(shown.columns)], strict=True):
        axes[1].plot(means["photos"], shown[breed], f"{mark}-", label=breed, linewidth=1.5)
    some = f": the {len(shown.columns)} of {len(gains)} that rise most" if len(shown.columns) < len(gains) else ""
    axes[1].set(ylabel="recall", title=f"Recall of each breed, mean{some}")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    for axis, lowest in zip(axes, (table["accuracy"].min(), shown.min(axis=None)), strict=True):
        axis.set_xscale("log", base=2)
        axis.set_xticks(means["photos"], [f"{count:.0f}" for count in means["photos"]])
        axis.minorticks_off()
        axis.set(xlabel="training photos", ylim=(max(0, lowest - 0.05), 1.02))
    return figure
