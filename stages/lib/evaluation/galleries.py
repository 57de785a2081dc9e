"""Which photos are worth a look: errors, right answers, breeds taken for each other, what passes for known."""

import pandas as pd

PAIRS = 3  # of breeds
PHOTOS_A_PAIR = 4  # of each of the two breeds
WORST = 12
EXPLAINED = 5  # right answers, and as many wrong ones
UNFAMILIAR = 6  # unknown photos that pass for known, and as many known ones that are turned away


def worst_errors(predictions: pd.DataFrame, count: int = WORST) -> pd.DataFrame:
    """The wrong answers with the highest confidence, highest first.

    ``predictions`` has the columns photo, actual, predicted and confidence.
    """
    wrong = predictions[predictions["actual"] != predictions["predicted"]]
    return wrong.sort_values(["confidence", "photo"], ascending=[False, True], kind="stable").head(count)


def surest_answers(predictions: pd.DataFrame, count: int = EXPLAINED) -> pd.DataFrame:
    """Right answers, of each breed the one with the highest confidence first, then the second highest, and so on.

    Where there are more breeds than ``count``, those whose best is the most confident are taken.
    """
    right = predictions[predictions["actual"] == predictions["predicted"]]
    ranked = right.sort_values(["confidence", "photo"], ascending=[False, True], kind="stable")
    place = ranked.groupby("actual").cumcount()
    shown = ranked.assign(place=place).sort_values("place", kind="stable").head(count)
    return shown.sort_values(["place", "actual"], kind="stable").drop(columns="place")


def confused_pairs(predictions: pd.DataFrame, count: int = PAIRS) -> pd.DataFrame:
    """Pairs of breeds by how often one is taken for the other, most often first.

    Returns:
        ``one`` and ``other`` (by name), ``photos`` (mistaken either way), ``one_as_other`` and ``other_as_one``.
    """
    wrong = predictions[predictions["actual"] != predictions["predicted"]]
    directed = wrong.groupby(["actual", "predicted"]).size()
    pairs = sorted({tuple(sorted(pair)) for pair in directed.index})
    rows = []
    for one, other in pairs:
        there, back = int(directed.get((one, other), 0)), int(directed.get((other, one), 0))
        rows.append((one, other, there + back, there, back))
    table = pd.DataFrame(rows, columns=["one", "other", "photos", "one_as_other", "other_as_one"])
    return table.sort_values(["photos", "one", "other"], ascending=[False, True, True], kind="stable").head(count)


def photos_of_pair(predictions: pd.DataFrame, actual: str, other: str, count: int = PHOTOS_A_PAIR) -> pd.DataFrame:
    """Photos of ``actual`` for a look beside those of ``other``: mistaken for it first, then recognised ones."""
    of_breed = predictions[predictions["actual"] == actual]
    mistaken = of_breed[of_breed["predicted"] == other]
    recognised = of_breed[of_breed["predicted"] == actual]
    order = [table.sort_values(["confidence", "photo"], ascending=[False, True]) for table in (mistaken, recognised)]
    return pd.concat(order).head(count)


def mistaken_familiarity(familiarity: pd.DataFrame, count: int = UNFAMILIAR) -> pd.DataFrame:
    """Unknown photos that pass for known, the most familiar first, then test photos turned away, the least first.

    ``familiarity`` has the rows of one model in plots/familiarity.csv; ``count`` of each kind are given at most.
    """
    let_through = familiarity[(familiarity["split"] == "unknown") & ~familiarity["unknown"]]
    turned_away = familiarity[(familiarity["split"] == "test") & familiarity["unknown"]]
    kinds = [
        table.sort_values(["familiarity", "photo"], ascending=[ascending, True], kind="stable").head(count)
        for table, ascending in ((let_through, False), (turned_away, True))
    ]
    return pd.concat(kinds)
