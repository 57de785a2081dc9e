"""Charts of how models were trained and what they score."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn import metrics

from stages.lib.reporting.charts import NAME_WIDTH

MATRIX_BREEDS = 20  # beyond which the numbers in a matrix' cells can't be read
SHORT_NAME = 9  # letters, for which a matrix has room
CONFUSED_PAIRS = 25
BREEDS_WITH_RECALLS = 30
BREEDS_WITH_CURVES = 8
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
    figure, axes = plt.subplots(figsize=(10, 1.4 + 0.28 * max(len(shown), 1)), layout="constrained")
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


def learning_curves(histories: dict[str, pd.DataFrame]) -> Figure:
    """Accuracy and loss over the steps, a colour a model: val as a line, train dotted."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
    for colour, (model, history) in zip(sns.color_palette("colorblind"), histories.items(), strict=False):
        for axis, measure in zip(axes, ("accuracy", "loss"), strict=True):
            axis.plot(history["step"], history[f"val_{measure}"], color=colour, label=model, linewidth=2)
            axis.plot(history["step"], history[measure], color=colour, linestyle=":", linewidth=1)
    axes[0].set(xlabel="optimizer steps", ylabel="accuracy", title="Accuracy: val (line), train (dots)", ylim=(0, 1.02))
    # the first train losses, before there is anything to see, may be ten times as high
    top = 1.05 * max(history["val_loss"].max() for history in histories.values())
    axes[1].set(xlabel="optimizer steps", ylabel="loss (nats)", title="Loss: val (line), train (dots)", ylim=(0, top))
    axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def accuracies(scores: dict[str, dict[str, float]], confidence_level: float, subject: str) -> Figure:
    """The accuracy of each model with its interval."""
    figure, axis = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for place, score in enumerate(scores.values()):
        axis.plot([score["accuracy_low"], score["accuracy_high"]], [place, place], color="C0", linewidth=3)
        axis.plot(score["accuracy"], place, "o", color="C0", markersize=9)
        axis.annotate(
            f"{score['accuracy']:.3f}", (score["accuracy"], place), (0, 8), textcoords="offset points", ha="center"
        )
    axis.set_yticks(range(len(scores)), list(scores))
    axis.set(xlim=(0, 1.02), ylim=(len(scores) - 0.5, -0.7), xlabel="accuracy")
    axis.set_title(f"Accuracy on {subject}, with {confidence_level:.0%} intervals")
    return figure


def reliability(points: dict[str, dict[str, pd.DataFrame]]) -> Figure:
    """A panel a model: accuracy over confidence, without temperature scaling and with it.

    ``points`` holds, for each model and each of the two by name, what
    `stages.lib.evaluation.calibration.reliability` gives.
    """
    columns = 3
    rows = -(-len(points) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(11, 3.7 * rows), sharex=True, sharey=True, layout="constrained")
    for axis, (model, curves) in zip(axes.flat, points.items(), strict=False):
        axis.plot([0, 1], [0, 1], color="0.5", linestyle="--", linewidth=1, label="as sure as right")
        for style, marker, (name, table) in zip(("-", ":"), ("o", "s"), curves.items(), strict=True):
            colour = sns.color_palette("colorblind")[0 if style == "-" else 1]
            axis.plot(table["confidence"], table["accuracy"], color=colour, linestyle=style, linewidth=1.2, alpha=0.5)
            size = 12 + 160 * table["photos"] / table["photos"].sum()
            axis.scatter(
                table["confidence"], table["accuracy"], size, color=colour, marker=marker, alpha=0.8, label=name
            )
        axis.set(title=model, xlim=(0, 1.02), ylim=(-0.02, 1.04), aspect="equal")
        axis.tick_params(labelbottom=True)
    for axis in axes.flat[len(points) :]:
        axis.axis("off")
    figure.supxlabel("confidence (mean of a bin; larger marks, more photos)", fontsize=12)
    figure.supylabel("accuracy (share right)", fontsize=12)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    legend = axes.flat[-1].legend(handles, labels, loc="center", fontsize=12)
    for handle in legend.legend_handles[1:]:
        handle.set_sizes([60])
    return figure


def risk_coverage(curves: dict[str, pd.DataFrame], subject: str) -> Figure:
    """The share of wrong answers over the share of photos that is answered, a colour a model."""
    figure, axis = plt.subplots(figsize=(9, 4.4), layout="constrained")
    for colour, (model, curve) in zip(sns.color_palette("colorblind"), curves.items(), strict=False):
        shown = curve[curve["coverage"] >= LEAST_COVERAGE]
        axis.plot(shown["coverage"], shown["risk"], color=colour, label=model, linewidth=2)
    axis.set(xlim=(0, 1.01), title=f"If only the most confident answers count, on {subject}")
    axis.set(xlabel="coverage (share of photos answered)", ylabel="risk (share of answers wrong)")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def recalls(report: pd.DataFrame, subject: str) -> Figure:
    """The recall of each breed, a colour and a mark a model; of many breeds, those that are recognised least.

    ``report`` has the columns model, breed and recall.
    """
    table = report.pivot(index="breed", columns="model", values="recall")[report["model"].unique()]
    hardest = table.mean(axis=1).sort_values(kind="stable").index[:BREEDS_WITH_RECALLS]
    figure, axis = plt.subplots(figsize=(9, 1.6 + 0.5 * len(hardest)), layout="constrained")
    for place, (model, mark) in enumerate(zip(table.columns, "osD^v", strict=False)):
        rows = np.arange(len(hardest)) + 0.13 * (place - (len(table.columns) - 1) / 2)
        colour = sns.color_palette("colorblind")[place]
        axis.plot(table.loc[hardest, model], rows, mark, color=colour, label=model, markersize=7)
    axis.set_yticks(range(len(hardest)), hardest)
    axis.set(xlim=(-0.02, 1.02), ylim=(len(hardest) - 0.4, -0.6), xlabel="recall (share of its photos recognised)")
    some = f", the {len(hardest)} hardest of {len(table)} breeds" if len(hardest) < len(table) else ""
    axis.set_title(f"Recall on {subject}{some}")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def data_size(table: pd.DataFrame, val_photos: int) -> Figure:
    """Accuracy on val and recall of each breed over the number of training photos: points are draws, lines their means.

    Of many breeds, those are shown that rise most from half of the photos to all. ``table`` has the columns repeat,
    share, photos, accuracy, and recall_<breed>.
    """
    means = table.drop(columns="repeat").groupby("share").mean()
    recalls = means.filter(regex="^recall_").rename(columns=lambda name: name.removeprefix("recall_"))
    gains = (recalls.iloc[-1] - recalls.iloc[-2]).sort_values(ascending=False, kind="stable")
    shown = recalls[sorted(gains.index[:BREEDS_WITH_CURVES])]
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.6), sharex=True, layout="constrained")
    axes[0].plot(table["photos"], table["accuracy"], "o", color="C0", alpha=0.4, label="a draw of photos")
    axes[0].plot(means["photos"], means["accuracy"], color="C0", linewidth=2, label="mean")
    axes[0].set(ylabel="accuracy", title=f"Accuracy on the {val_photos} photos of val")
    axes[0].legend(loc="lower right")
    for breed, mark in zip(shown, "osD^vP*X", strict=False):
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
