"""Which model to take, in a sentence."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from stages.lib.core.prose import render_line, templates

NAMED = 4  # models in a list; of more their number is told
ANSWER = templates(Path(__file__).parent / "templates", autoescape=False).get_template("answer.jinja")


def best_on_val(scores: Mapping[str, Mapping[str, float]]) -> str:
    """The model with the highest accuracy on val; of equals, the one with the lowest log loss there.

    Where that is equal too, the first by name. ``scores`` are those of each model on val.
    """
    return min(scores, key=lambda model: (-scores[model]["accuracy"], scores[model]["log_loss"], model))


def answer_in_a_sentence(
    best: str,
    scores: Mapping[str, float],
    costs: Mapping[str, float],
    comparisons: pd.DataFrame,
    subject: str,
    level: float,
) -> str:
    """Which model to take, how good it is, what it costs, and whether it is better by more than luck.

    Args:
        best: the model that is best on val.
        scores: its own, on test: accuracy with its interval.
        costs: its own: milliseconds_batch_1 (a photo, one at a time) and megabytes.
        comparisons: what `compare_models` gives; the pairs that ``best`` is one of are told.
        subject: what was tested on, see `describe_test`.
        level: of the interval, and 1 less the level of the tests.
    """
    mine = comparisons[(comparisons["first"] == best) | (comparisons["second"] == best)]
    others = mine["first"].where(mine["first"] != best, mine["second"])
    decided = mine["p_holm"] < 1 - level
    ahead = (mine["difference"] > 0) == (mine["first"] == best)
    return render_line(
        ANSWER,
        best=best,
        scores=scores,
        costs=costs,
        subject=subject,
        level=level,
        beats=others[decided & ahead].tolist(),
        beaten_by=others[decided & ~ahead].tolist(),
        like=others[~decided].tolist(),
        named=NAMED,
    )
