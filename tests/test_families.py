"""Families of breeds that a model takes for each other."""

import numpy as np
import pandas as pd
import pytest

from stages.lib.evaluation.families import find_families, tabulate_families

BREEDS = ["Akita", "Briard", "Collie", "Dingo"]


def predictions(*counts: tuple[str, str, int]) -> pd.DataFrame:
    """So many photos of one breed taken for another."""
    rows = [(actual, predicted) for actual, predicted, count in counts for _ in range(count)]
    return pd.DataFrame(rows, columns=["actual", "predicted"])


def test_breeds_that_are_taken_for_each_other_are_a_family_and_the_others_are_none():
    table = tabulate_families(
        predictions(
            ("Akita", "Akita", 6), ("Akita", "Collie", 4), ("Collie", "Akita", 1), ("Collie", "Collie", 8),
            ("Collie", "Dingo", 1), ("Briard", "Briard", 10), ("Dingo", "Dingo", 60),
        ),
        BREEDS,
    )  # fmt: skip
    assert table.to_dict("records") == [
        {"breeds": "Akita, Collie", "photos": 20, "accuracy": 0.7, "family_accuracy": 0.95, "within": 5}
    ]


def test_the_family_with_the_most_mistakes_within_it_comes_first():
    table = tabulate_families(
        predictions(
            ("Akita", "Briard", 1), ("Akita", "Akita", 9), ("Briard", "Briard", 10),
            ("Collie", "Dingo", 3), ("Collie", "Collie", 7), ("Dingo", "Dingo", 10),
        ),
        BREEDS,
    )  # fmt: skip
    assert table["breeds"].tolist() == ["Collie, Dingo", "Akita, Briard"]


def test_where_nothing_is_mistaken_there_is_no_family():
    right = np.arange(4).repeat(5)
    assert len(set(find_families(right, right, 4).tolist())) == 4
    table = tabulate_families(predictions(*((breed, breed, 5) for breed in BREEDS)), BREEDS)
    assert table.empty
    assert list(table) == ["breeds", "photos", "accuracy", "family_accuracy", "within"]


@pytest.mark.parametrize("breeds", [2, 120])
def test_a_breed_without_a_photo_is_a_family_of_its_own(breeds):
    actual, predicted = np.zeros(9, int), np.zeros(9, int)
    families = find_families(actual, predicted, breeds)
    assert len(families) == len(set(families.tolist())) == breeds
