"""Which photos the report shows."""

import pandas as pd
import pytest

from stages.lib.evaluation.galleries import (
    UNFAMILIAR,
    confused_pairs,
    mistaken_familiarity,
    photos_of_pair,
    surest_answers,
    worst_errors,
)


@pytest.fixture
def predictions():
    rows = [
        ("a1", "a", "a", 0.9), ("a2", "a", "b", 0.8), ("a3", "a", "b", 0.95), ("a4", "a", "c", 0.5),
        ("b1", "b", "b", 0.7), ("b2", "b", "a", 0.6), ("c1", "c", "c", 0.99), ("c2", "c", "c", 0.97),
        ("c3", "c", "b", 0.8),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["photo", "actual", "predicted", "confidence"])


def test_worst_errors_are_wrong_and_the_most_confident_first(predictions):
    assert worst_errors(predictions)["photo"].tolist() == ["a3", "a2", "c3", "b2", "a4"]
    assert worst_errors(predictions, 2)["photo"].tolist() == ["a3", "a2"]
    assert worst_errors(predictions.iloc[[0, 4]]).empty


def test_surest_answers_are_right_and_take_each_breed_in_turn(predictions):
    assert surest_answers(predictions, 4)["photo"].tolist() == ["a1", "b1", "c1", "c2"]


def test_of_more_breeds_than_are_shown_the_surest_come_by_name(predictions):
    assert surest_answers(predictions, 2)["photo"].tolist() == ["a1", "c1"]


def test_pairs_are_counted_both_ways_and_the_most_confused_come_first(predictions):
    pairs = confused_pairs(predictions)
    assert pairs.to_numpy().tolist() == [["a", "b", 3, 2, 1], ["a", "c", 1, 1, 0], ["b", "c", 1, 0, 1]]
    assert confused_pairs(predictions.iloc[[0, 4]]).empty


def test_a_pair_is_shown_by_its_mistaken_photos_first_and_recognised_ones_after(predictions):
    assert photos_of_pair(predictions, "a", "b")["photo"].tolist() == ["a3", "a2", "a1"]
    assert photos_of_pair(predictions, "b", "a", 1)["photo"].tolist() == ["b2"]


def test_unknown_photos_that_pass_for_known_come_by_familiarity_and_test_photos_turned_away_by_the_lack_of_it():
    rows = [
        ("test", "t1", 0.9, False), ("test", "t2", 0.2, True), ("test", "t3", 0.1, True), ("test", "t4", 0.1, True),
        ("unknown", "u1", 0.7, False), ("unknown", "u2", 0.8, False), ("unknown", "u3", 0.0, True),
        ("unknown", "u0", 0.7, False),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["split", "photo", "familiarity", "unknown"])
    assert mistaken_familiarity(table)["photo"].tolist() == ["u2", "u0", "u1", "t3", "t4", "t2"]
    assert mistaken_familiarity(table, 1)["photo"].tolist() == ["u2", "t3"]
    assert mistaken_familiarity(table.iloc[[0, 6]]).empty
    many = pd.concat([table.iloc[[4]]] * 20 + [table.iloc[[1]]] * 20)
    assert mistaken_familiarity(many)["split"].value_counts().to_dict() == {"unknown": UNFAMILIAR, "test": UNFAMILIAR}
