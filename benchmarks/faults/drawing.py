"""The pictures of docs/faults.md: what each fault does to the numbers."""

import pandas as pd
from matplotlib.figure import Figure

REPORTED, TRUE = "#d55e00", "#0072b2"
MARKS = {  # name and colour of each, from top to bottom
    "reported": ("reported with the fault", REPORTED),
    "true": ("true of that model", TRUE),
    "sound": ("without the fault", "#009e73"),
}


def draw_fault(outcomes: pd.DataFrame) -> Figure:
    """A panel for each network of one fault, a row a case: each seed as a faint mark, the mean as a strong one."""
    groups = outcomes["case"].str.partition(",")[0]
    panels = [list(dict.fromkeys(each)) for _, each in outcomes["case"].groupby(groups, sort=False)]
    heights = [0.7 + 0.45 * len(cases) for cases in panels]
    figure = Figure(figsize=(7.5, 0.5 + sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
    for axis, cases in zip(axes, panels, strict=True):
        for shift, (column, (name, colour)) in zip((0.2, 0, -0.2), MARKS.items(), strict=True):
            for place, case in enumerate(cases):
                values = 100 * outcomes.loc[outcomes["case"] == case, column]
                label = name if axis is axes[0] and place == 0 else None
                axis.scatter(values, [shift - place] * len(values), color=colour, alpha=0.3, s=18, linewidths=0)
                axis.scatter(values.mean(), shift - place, color=colour, s=60, label=label)
        axis.set_yticks([-place for place in range(len(cases))], cases)
        axis.set_ylim(0.5 - len(cases), 0.5)
        axis.grid(axis="x", alpha=0.3)
        axis.spines[["top", "right", "left"]].set_visible(False)
    axes[-1].set_xlabel("gain of accuracy, points" if outcomes["fault"].iloc[0] == "going_on" else "accuracy, %")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return figure


def draw_splits(outcomes: pd.DataFrame) -> Figure:
    """Of `one_split`, what each split and each seed alone would have had one believe: a panel a case."""
    cases = list(outcomes.groupby("case", sort=False))
    figure = Figure(figsize=(7.5, 1.9 * len(cases)), layout="constrained")
    for axes, (case, each) in zip(figure.subplots(len(cases), squeeze=False)[:, 0], cases, strict=True):
        gains = each["reported"].min() < 0.5
        axes.hist(100 * each["reported"], bins=25, color=REPORTED, alpha=0.6)
        axes.axvline(100 * each["true"].iloc[0], color=TRUE, linewidth=2, label="mean of all")
        if gains:
            axes.axvline(0, color="black", linestyle="--", label="no difference")
        axes.set(
            title=case,
            xlabel="gain of accuracy, points" if gains else "accuracy, %",
            ylabel="splits" if gains else "seeds",
        )
        axes.title.set_size(10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    return figure
