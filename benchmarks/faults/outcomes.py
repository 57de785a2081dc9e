"""What was measured of a fault, and what follows from it over the seeds."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t

LEVEL = 0.95


class Outcome(NamedTuple):
    """One training with a fault, or without one: accuracies, 0 to 1, or gains of accuracy."""

    fault: str
    case: str
    seed: int
    reported: float  # what the recipe with the fault says
    true: float  # what the same model is worth on photos that had no part in it
    sound: float  # what the recipe without the fault is worth, on the same photos


def mean_and_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The mean of ``values`` (n,), two or more, and Student's 95 % interval of it.

    The splits of the seeds share photos, so that the interval is a little too narrow.
    """
    half = t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def summarise(outcomes: pd.DataFrame) -> pd.DataFrame:
    """One row a fault and case, in their order, with means over the seeds.

    ``flatters`` is reported - true, ``costs`` is sound - true, each with its interval, ``_low`` to ``_high``.
    """
    rows = []
    for (fault, case), each in outcomes.groupby(["fault", "case"], sort=False):
        row = {"fault": fault, "case": case, "seeds": len(each)}
        row |= {name: each[name].mean() for name in ("reported", "true", "sound")}
        for name, values in (("flatters", each["reported"] - each["true"]), ("costs", each["sound"] - each["true"])):
            ends = mean_and_interval(values.to_numpy())
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), ends, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def spread(outcomes: pd.DataFrame) -> pd.DataFrame:
    """What one split or one seed alone says: its range over those that were tried.

    ``reported_low`` to ``reported_high`` holds 95 % of them; ``wrong`` is the share whose sign is not that of the true
    gain, so that the worse model wins or neither does; ``wrong_of_five`` likewise where the mean of five is believed.
    """
    rows = []
    for case, each in outcomes.groupby("case", sort=False):
        reported, true = each["reported"].to_numpy(), each["true"].iloc[0]
        fives = reported[: len(reported) // 5 * 5].reshape(-1, 5).mean(axis=1)
        low, high = np.quantile(reported, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        wrong, wrong_of_five = (np.mean(np.sign(values) != np.sign(true)) for values in (reported, fives))
        row = {"case": case, "tried": len(each), "true": true, "std": reported.std(ddof=1)}
        rows.append(row | {"reported_low": low, "reported_high": high, "wrong": wrong, "wrong_of_five": wrong_of_five})
    return pd.DataFrame(rows)


def _points(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}".replace("-", "−")


def to_markdown(outcomes: pd.DataFrame) -> list[str]:
    """The rows of the table in docs/faults.md: `summarise` and `spread` in percent and points."""
    of_one, rows = outcomes["fault"] == "one_split", []
    for row in summarise(outcomes[~of_one]).to_dict("records"):
        flatters, costs = (f"{100 * row[name]:+.1f}".replace("-", "−") for name in ("flatters", "costs"))
        means = " | ".join(f"{100 * row[name]:.1f}".replace("-", "−") for name in ("reported", "true", "sound"))
        flattered = f"{flatters} ({_points(row['flatters_low'], row['flatters_high'])})" if row["flatters"] else "0"
        cost = f"{costs} ({_points(row['costs_low'], row['costs_high'])})" if row["costs"] else "0"
        rows.append(f"| `{row['fault']}` | {row['case']} | {means} | {flattered} | {cost} |")
    for row in spread(outcomes[of_one]).to_dict("records"):
        wrong = f"{row['wrong']:.0%} | {row['wrong_of_five']:.0%}" if row["true"] < 0.5 else "| "
        held = _points(row["reported_low"], row["reported_high"])
        rows.append(f"| {row['case']} | {row['tried']} | {100 * row['true']:.1f} | {held} | {wrong} |")
    return rows
