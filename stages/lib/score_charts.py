"""Charts of how models were trained and what they score."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from sklearn import metrics

CELLS_WITH_NUMBERS = 20  # breeds, beyond which the numbers in a matrix' cells can't be read


def confusion_matrix(actual: np.ndarray, predicted: np.ndarray, breeds: list[str], title: str) -> Figure:
    """Counts in the cells, the share of the row as colour: rows are the actual breeds, columns the predicted ones.

    ``actual`` and ``predicted`` are int (n,), places in ``breeds``.
    """
    counts = metrics.confusion_matrix(actual, predicted, labels=range(len(breeds)))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(2.6 + 0.62 * len(breeds), 24)  # inches
    figure, axes = plt.subplots(figsize=(side + 1, side), layout="constrained")
    sns.heatmap(
        shares,
        annot=counts if len(breeds) <= CELLS_WITH_NUMBERS else None,
        fmt="d",
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
    axes.tick_params(axis="x", rotation=45 if len(breeds) <= CELLS_WITH_NUMBERS else 90)
    axes.tick_params(axis="y", rotation=0)
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
