"""Whether two models differ by more than luck."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from stages.lib.core.prose import render_line, templates

DIFFERENCE = 0.02  # of two accuracies, that one would like to see
SMALLEST_P = 0.0001  # that is told in words
POWER = 0.8  # the chance to see it, by convention
VERDICT = templates(Path(__file__).parent / "templates", autoescape=False).get_template("verdict.jinja")


def photos_needed(disagreement: float, difference: float, confidence_level: float, power: float = POWER) -> int:
    """How many photos it takes for McNemar's test to see a difference between two accuracies.

    Connor, Sample size for testing differences in proportions for the paired-sample design (Biometrics 1987), for one
    two-sided test alone.

    Args:
        disagreement: the share of photos that one model gets right and the other wrong, 0 to 1; taken for
            ``difference`` where it is less, as it can't be.
        difference: of the accuracies, above 0 to 1.
        confidence_level: 1 minus the chance to see a difference where there is none.
        power: the chance to see the difference where it is there.
    """
    disagreement = max(disagreement, difference)
    wanted = norm.ppf((1 + confidence_level) / 2) * math.sqrt(disagreement)
    wanted += norm.ppf(power) * math.sqrt(disagreement - difference**2)
    return math.ceil((wanted / difference) ** 2)


def only_one_right(first: np.ndarray, second: np.ndarray) -> tuple[int, int, float]:
    """On how many photos the first alone is right, and the second alone, bool (n,) each, with the p value of these two.

    Exact McNemar test (McNemar, Psychometrika 1947).
    """
    first_only, second_only = int((first & ~second).sum()), int((second & ~first).sum())
    return first_only, second_only, float(mcnemar([[0, first_only], [second_only, 0]], exact=True).pvalue)


def compare_models(
    right: dict[str, np.ndarray], planned: Iterable[tuple[str, str, str]], confidence_level: float
) -> pd.DataFrame:
    """Test pairs of models for a difference in accuracy on the same photos.

    By `only_one_right`; p values are corrected for the number of tests after Holm (Scandinavian Journal of Statistics
    1979).

    Args:
        right: for each model, bool (n,), whether it is right about each photo.
        planned: the pairs with the question that each answers, see `stages.lib.core.models.plan_comparisons`.
        confidence_level: for the number of photos needed and the verdict.

    Returns:
        One row a pair: ``question``, ``first``, ``second``, ``difference`` (accuracy of the first less that of the
        second), ``first_only`` and ``second_only`` (photos that only one got right), ``p``, ``p_holm``,
        ``photos_needed`` (to see a difference of `DIFFERENCE`) and ``verdict``, a sentence.
    """
    rows = []
    for question, first, second in planned:
        first_only, second_only, p = only_one_right(right[first], right[second])
        photos = len(right[first])
        needed = photos_needed((first_only + second_only) / photos, DIFFERENCE, confidence_level)
        rows.append((question, first, second, (first_only - second_only) / photos, first_only, second_only, p, needed))
    columns = ["question", "first", "second", "difference", "first_only", "second_only", "p", "photos_needed"]
    comparisons = pd.DataFrame(rows, columns=columns)
    comparisons.insert(7, "p_holm", multipletests(comparisons["p"], method="holm")[1])
    comparisons["verdict"] = [in_words(row, confidence_level, photos) for _, row in comparisons.iterrows()]
    return comparisons


def in_words(comparison: pd.Series, confidence_level: float, photos: int) -> str:
    """Say what a row of `compare_models` means."""
    return render_line(
        VERDICT,
        **comparison[["first", "second", "first_only", "second_only"]],
        p=comparison["p_holm"],
        smallest_p=SMALLEST_P,
        level=confidence_level,
        photos=photos,
        needed=float(f"{comparison['photos_needed']:.2g}"),  # more digits would claim too much
        difference=DIFFERENCE,
    )
