"""Scores and tests against independent sources and cases worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score
from sklearn.metrics import classification_report as reference_report

from stages.lib.scores import (
    classification_report,
    compare_models,
    compute_scores,
    expected_calibration_error,
    in_words,
)


def random_answers(seed: int, photos: int = 60, breeds: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, breeds, photos), generator.dirichlet(np.ones(breeds), photos)


def test_accuracy_f1_and_log_loss_of_a_case_worked_out_by_hand():
    actual = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    scores = compute_scores(actual, probabilities, 0.95)
    assert list(scores) == ["accuracy", "accuracy_low", "accuracy_high", "macro_f1", "log_loss", "ece"]
    assert scores["accuracy"] == 0.75
    # breed 0: precision 1, recall 1/2; breed 1: precision 2/3, recall 1
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2, abs=1e-6)
    assert scores["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.7]).mean(), abs=1e-6)
    # each confidence in a bin of its own: |1 - .9|, |0 - .6|, |1 - .8|, |1 - .7|, a quarter each
    assert scores["ece"] == pytest.approx((0.1 + 0.6 + 0.2 + 0.3) / 4, abs=1e-6)


def test_calibration_error_averages_within_a_bin_before_it_takes_the_difference():
    right = np.array([True, False, True, False])
    assert expected_calibration_error(right, np.full(4, 0.5), bins=10) == 0
    assert expected_calibration_error(right, np.full(4, 0.9), bins=10) == pytest.approx(0.4)
    assert expected_calibration_error(np.ones(4, bool), np.ones(4)) == 0


def test_a_confidence_on_a_bins_border_belongs_to_the_bin_below():
    right = np.array([True, False])
    # (0.4, 0.6] holds both: |1 - (0.6 + 0.5)| / 2; were 0.6 in the bin above: (|1 - 0.6| + |0 - 0.5|) / 2
    assert expected_calibration_error(right, np.array([0.6, 0.5]), bins=5) == pytest.approx(0.05)


@given(photos=st.integers(1, 400), data=st.data(), level=st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=50, deadline=None)
def test_interval_is_scipys_wilson_interval(photos, data, level):
    right = data.draw(st.integers(0, photos))
    actual = np.zeros(photos, int)
    probabilities = np.tile([0.3, 0.7], (photos, 1))
    probabilities[:right] = [0.7, 0.3]
    scores = compute_scores(actual, probabilities, level)
    expected = binomtest(right, photos).proportion_ci(level, method="wilson")
    assert scores["accuracy_low"] == pytest.approx(expected.low, abs=1e-6)
    assert scores["accuracy_high"] == pytest.approx(expected.high, abs=1e-6)
    assert scores["accuracy_low"] <= scores["accuracy"] <= scores["accuracy_high"]


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_order_of_photos_and_names_of_breeds_change_no_score(seed):
    actual, probabilities = random_answers(seed)
    scores = compute_scores(actual, probabilities, 0.95)
    order = np.random.default_rng(seed + 1).permutation(len(actual))
    assert compute_scores(actual[order], probabilities[order], 0.95) == pytest.approx(scores, abs=2e-6)
    renamed = np.array([2, 0, 3, 1])  # breed b is now called renamed[b]
    assert compute_scores(renamed[actual], probabilities[:, np.argsort(renamed)], 0.95) == pytest.approx(
        scores, abs=2e-6
    )


def test_report_agrees_with_sklearn_and_keeps_the_row_of_a_breed_that_never_comes_up():
    actual, probabilities = random_answers(3)
    predicted = probabilities.argmax(axis=1)
    actual[actual == 2] = 1
    predicted[predicted == 2] = 0
    report = classification_report(actual, predicted, ["a", "b", "c", "d"])
    expected = reference_report(
        actual, predicted, labels=range(4), target_names=["a", "b", "c", "d"], zero_division=0, output_dict=True
    )
    assert report["breed"].tolist() == ["a", "b", "c", "d"]
    assert report["support"].sum() == len(actual)
    for row in report.itertuples():
        assert (row.precision, row.recall, row.f1, row.support) == pytest.approx(tuple(expected[row.breed].values()))
    assert report.loc[2, ["precision", "recall", "f1", "support"]].tolist() == [0, 0, 0, 0]
    assert (report["recall"] * report["support"]).sum() / len(actual) == pytest.approx(
        accuracy_score(actual, predicted)
    )


def test_comparison_is_the_exact_binomial_test_on_photos_where_models_disagree():
    first = np.array([True] * 90 + [False] * 10)
    second = np.array([True] * 75 + [False] * 25)  # right on none that first gets wrong
    third = np.concatenate([second[5:], second[:5]])
    comparisons = compare_models({"first": first, "second": second, "third": third})
    assert comparisons[["first", "second"]].to_numpy().tolist() == [
        ["first", "second"],
        ["first", "third"],
        ["second", "third"],
    ]
    assert comparisons.loc[0, ["first_only", "second_only"]].tolist() == [15, 0]
    for row, (a, b) in zip(comparisons.itertuples(), [(first, second), (first, third), (second, third)], strict=True):
        only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
        assert (row.first_only, row.second_only) == (only_a, only_b)
        assert row.p == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)


def test_p_values_are_corrected_after_holm():
    right = {name: np.random.default_rng(i).random(80) < 0.4 + 0.12 * i for i, name in enumerate("abcd")}
    comparisons = compare_models(right)
    ordered = comparisons.sort_values("p")
    # Holm: the k-th smallest of m is multiplied by m - k, never below the one before, never above 1
    factors = np.arange(len(ordered), 0, -1)
    expected = np.minimum(np.maximum.accumulate(ordered["p"].to_numpy() * factors), 1)
    np.testing.assert_allclose(ordered["p_holm"], expected)


def test_models_that_are_right_on_the_same_photos_cannot_be_told_apart():
    right = np.array([True, False, True])
    comparison = compare_models({"one": right, "two": right}).iloc[0]
    assert (comparison["p"], comparison["p_holm"]) == (1, 1)
    assert in_words(comparison, 0.95) == "one and two can't be told apart (p = 1)"


@pytest.mark.parametrize(
    ("first_only", "second_only", "p", "words"),
    [
        (15, 1, 0.0052, "a beats b (p = 0.0052)"),
        (1, 15, 0.0052, "b beats a (p = 0.0052)"),
        (5, 4, 0.8, "a and b can't be told apart (p = 0.8)"),
    ],
)
def test_verdict_names_the_better_model_or_says_that_nobody_knows(first_only, second_only, p, words):
    row = {"first": "a", "second": "b", "first_only": first_only, "second_only": second_only, "p_holm": p}
    assert in_words(pd.Series(row), 0.95) == words
