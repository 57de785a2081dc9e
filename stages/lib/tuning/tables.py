"""What trials gave, for people."""

import numpy as np
import pandas as pd
from optuna.trial import FrozenTrial

from stages.lib.tuning.space import SPACE

SHOWN = 10  # trials


def table(trials: list[FrozenTrial]) -> pd.DataFrame:
    """A row a trial, in their order: mean and standard deviation over the folds that it came to, and its settings."""
    rows = []
    for number, trial in enumerate(trials):
        row = {"trial": number, "folds": len(trial.user_attrs.get("losses", [])), "state": trial.state.name.lower()}
        for name, scores in (("log_loss", "losses"), ("accuracy", "accuracies")):
            values = pd.Series(trial.user_attrs.get(scores, []), dtype=float)
            row |= {name: values.mean(), f"{name}_sd": values.std()}
        rows.append(row | trial.user_attrs["settings"])
    return pd.DataFrame(rows)


def print_table(trials: list[FrozenTrial]) -> None:
    """Print the best trials that went through all folds, and the defaults'."""
    complete = table(trials).query("state == 'complete'").sort_values("log_loss", kind="stable")
    best = complete[:SHOWN]
    if 0 not in best["trial"].tolist():
        best = pd.concat([best, complete[complete["trial"] == 0]])
    shown = pd.DataFrame({"trial": ["defaults" if number == 0 else number for number in best["trial"]]})
    for name in ("log_loss", "accuracy"):
        pairs = zip(best[name], best[f"{name}_sd"], strict=True)
        shown[name.replace("_", " ")] = [f"{mean:.4f} ± {spread:.4f}" for mean, spread in pairs]
    for name in SPACE:
        shown[name] = [f"{value:g}" for value in best[name]]
    print(shown.to_string(index=False))
    print(f"{len(trials)} trials, {len(trials) - len(complete)} of them given up; ± is the folds' standard deviation")


def print_best(best: FrozenTrial, first: FrozenTrial, again: np.ndarray) -> None:
    """Say what the best trial gains over the first, in its own folds and on others, and how to train with it."""
    if best.number == first.number:
        print("Nothing did better than params.yaml.")
        return
    rounds = [("in these folds", np.array(best.user_attrs["losses"]), np.array(first.user_attrs["losses"]))]
    if again.size:
        rounds.append(("in other folds", *again[..., 0]))
    for where, losses, before in rounds:
        print(
            f"{where}: log loss {losses.mean():.4f}, {before.mean():.4f} with the defaults; "
            f"lower in {(losses < before).sum()} of {len(losses)}"
        )
    if again.size:
        (_, accuracy), (_, before) = again.mean(axis=1)
        print(f"in other folds: accuracy {accuracy:.4f}, {before:.4f} with the defaults")
        if losses.mean() >= rounds[-1][2].mean():
            print("So the gain was luck: keep the defaults.")
            return
    changes = " ".join(f"-S transfer.{name}={value}" for name, value in best.user_attrs["settings"].items())
    print(f"Train with it:\n  dvc exp run {changes}")
