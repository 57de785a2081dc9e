"""Scores and tests against independent sources and cases worked out by hand."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap
from sklearn.metrics import accuracy_score, f1_score
from sklearn.metrics import classification_report as reference_report

from stages.lib.evaluation import scores
from stages.lib.evaluation.comparisons import compare_models, in_words, photos_needed
from stages.lib.evaluation.scores import accuracy_interval, classification_report, compute_scores, macro_f1_interval

KEYS = [
    *("accuracy", "accuracy_low", "accuracy_high", "macro_f1", "macro_f1_low", "macro_f1_high"),
    *("log_loss", "brier", "ece"),
]


def test_of_more_than_ten_breeds_it_is_told_whether_the_right_one_is_among_the_first_five():
    probabilities = np.full((3, 11), 0.05)
    probabilities[:, 10] = 0.5
    probabilities[0, :4] = 0.06  # the first photo's breed is one of these, the second's is the last
    probabilities[1, 9] = 0.01
    scores = compute_scores(np.array([3, 9, 10]), probabilities / probabilities.sum(axis=1, keepdims=True), 0.95)
    assert scores["accuracy"] == pytest.approx(1 / 3, abs=1e-6)
    assert scores["top5_accuracy"] == pytest.approx(2 / 3, abs=1e-6)
    assert "top5_accuracy" not in compute_scores(np.array([0, 9]), np.eye(10)[[0, 9]], 0.95)


def random_answers(seed: int, photos: int = 60, breeds: int = 4) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.integers(0, breeds, photos), generator.dirichlet(np.ones(breeds), photos)


def test_accuracy_f1_and_log_loss_of_a_case_worked_out_by_hand():
    actual = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.3, 0.7]])
    scores = compute_scores(actual, probabilities, 0.95)
    assert list(scores) == KEYS
    assert scores["accuracy"] == 0.75
    # breed 0: precision 1, recall 1/2; breed 1: precision 2/3, recall 1
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2, abs=1e-6)
    assert scores["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.7]).mean(), abs=1e-6)
    # both breeds' squared differences
    assert scores["brier"] == pytest.approx(2 * (0.1**2 + 0.6**2 + 0.2**2 + 0.3**2) / 4, abs=1e-6)
    # each confidence in a bin of its own: |1 - .9|, |0 - .6|, |1 - .8|, |1 - .7|, a quarter each
    assert scores["ece"] == pytest.approx((0.1 + 0.6 + 0.2 + 0.3) / 4, abs=1e-6)


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


@given(right=st.integers(0, 50), photos=st.integers(50, 500), level=st.sampled_from([0.8, 0.95]))
@settings(max_examples=50, deadline=None)
def test_interval_contains_the_accuracy_and_shrinks_with_more_photos(right, photos, level):
    low, high = accuracy_interval(right, photos, level)
    low_of_more, high_of_more = accuracy_interval(4 * right, 4 * photos, level)
    assert -1e-12 <= low <= right / photos + 1e-12 <= high + 2e-12 <= 1 + 2e-12
    assert high_of_more - low_of_more < high - low


@pytest.mark.parametrize(("photos", "accuracy"), [(75, 0.9), (234, 0.7), (234, 0.95)])
def test_interval_holds_the_true_accuracy_in_95_of_100_experiments(photos, accuracy):
    generator = np.random.default_rng(1)
    intervals = [accuracy_interval(right, photos, 0.95) for right in generator.binomial(photos, accuracy, 2000)]
    assert 0.93 <= np.mean([low <= accuracy <= high for low, high in intervals]) <= 0.97


def draw_answers(generator: np.random.Generator, rates: np.ndarray, photos: int) -> tuple[np.ndarray, np.ndarray]:
    """Photos of breeds that are equally frequent, and answers: ``rates`` (breeds, breeds) are the rows' chances."""
    actual = generator.integers(0, len(rates), photos)
    predicted = (generator.random((photos, 1)) > rates.cumsum(axis=1)[actual]).sum(axis=1)
    return actual, np.minimum(predicted, len(rates) - 1)


RATES = np.array([[0.85, 0.1, 0.05], [0.15, 0.75, 0.1], [0.05, 0.15, 0.8]])


def test_interval_of_macro_f1_holds_its_true_value_in_95_of_100_experiments(monkeypatch):
    monkeypatch.setattr(scores, "RESAMPLES", 500)  # to be done in seconds; the interval's ends get a little rougher
    generator = np.random.default_rng(1)
    true = (2 * RATES.diagonal() / (1 + RATES.sum(axis=0))).mean()
    held = []
    for experiment in range(2000):
        low, high = macro_f1_interval(*draw_answers(generator, RATES, 234), 3, 0.95, seed=experiment)
        held.append(low <= true <= high)
    assert 0.93 <= np.mean(held) <= 0.97


def test_interval_of_macro_f1_is_that_of_resampled_photos():
    actual, predicted = draw_answers(np.random.default_rng(2), RATES, 120)

    def macro_f1(actual, predicted):  # scikit-learn's takes a millisecond
        right, rows, columns = (
            np.bincount(found, minlength=3) for found in (actual[actual == predicted], actual, predicted)
        )
        return (2 * right / (rows + columns)).mean()

    assert macro_f1(actual, predicted) == pytest.approx(f1_score(actual, predicted, average="macro"))

    reference = bootstrap(
        (actual, predicted), macro_f1, paired=True, vectorized=False, n_resamples=2000, method="percentile", rng=3
    ).confidence_interval
    # either bound has a standard error of about 0.003 from 2,000 resamples
    assert macro_f1_interval(actual, predicted, 3, 0.95, seed=1) == pytest.approx(reference, abs=0.012)


def test_interval_of_macro_f1_is_the_same_each_time_and_shrinks_with_more_photos():
    actual, predicted = draw_answers(np.random.default_rng(4), RATES, 100)
    low, high = macro_f1_interval(actual, predicted, 3, 0.95, seed=1)
    assert macro_f1_interval(actual, predicted, 3, 0.95, seed=1) == (low, high)
    assert macro_f1_interval(actual, predicted, 3, 0.95, seed=2) != (low, high)
    assert low < f1_score(actual, predicted, average="macro") < high
    low_of_more, high_of_more = macro_f1_interval(np.tile(actual, 9), np.tile(predicted, 9), 3, 0.95, seed=1)
    assert high_of_more - low_of_more == pytest.approx((high - low) / 3, rel=0.15)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_order_of_photos_and_names_of_breeds_change_no_score(seed):
    actual, probabilities = random_answers(seed)
    scores = compute_scores(actual, probabilities, 0.95)
    order = np.random.default_rng(seed + 1).permutation(len(actual))
    assert compute_scores(actual[order], probabilities[order], 0.95) == pytest.approx(scores, abs=2e-6)
    renamed = np.array([2, 0, 3, 1])  # breed b is now called renamed[b]
    again = compute_scores(renamed[actual], probabilities[:, np.argsort(renamed)], 0.95)
    drawn = {"macro_f1_low": 0.02, "macro_f1_high": 0.02}  # from other random numbers
    assert {name: again[name] for name in KEYS} == {
        name: pytest.approx(scores[name], abs=drawn.get(name, 2e-6)) for name in KEYS
    }


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_renaming_breeds_moves_the_rows_of_the_report_and_nothing_else(seed):
    actual, probabilities = random_answers(seed)
    predicted = probabilities.argmax(axis=1)
    report = classification_report(actual, predicted, list("abcd")).set_index("breed")
    renamed = np.array([2, 0, 3, 1])
    moved = classification_report(renamed[actual], renamed[predicted], list("bdac")).set_index("breed")
    pd.testing.assert_frame_equal(moved.loc[list("abcd")], report)


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_a_breed_that_is_absent_from_test_shifts_nothing(seed):
    actual, probabilities = random_answers(seed, breeds=3)
    more = np.insert(probabilities, 1, 0, axis=1)  # a breed in the middle, of which there is no photo
    shifted = np.array([0, 2, 3])[actual]
    scores, again = compute_scores(actual, probabilities, 0.95), compute_scores(shifted, more, 0.95)
    assert {name: again[name] for name in ("accuracy", "log_loss", "brier", "ece")} == pytest.approx(
        {name: scores[name] for name in ("accuracy", "log_loss", "brier", "ece")}, abs=2e-6
    )
    report = classification_report(actual, probabilities.argmax(axis=1), ["a", "c", "d"])
    with_absent = classification_report(shifted, more.argmax(axis=1), ["a", "b", "c", "d"])
    assert with_absent.loc[1].tolist() == ["b", 0, 0, 0, 0]
    pd.testing.assert_frame_equal(with_absent.drop(1).reset_index(drop=True), report)


@given(seed=st.integers(0, 1000), breeds=st.integers(2, 6))
@settings(max_examples=20, deadline=None)
def test_scores_are_scikit_learns(seed, breeds):
    actual, probabilities = random_answers(seed, breeds=breeds)
    scores = compute_scores(actual, probabilities, 0.95)
    labels = range(breeds)
    assert scores["accuracy"] == pytest.approx(accuracy_score(actual, probabilities.argmax(axis=1)), abs=1e-6)
    assert scores["log_loss"] == pytest.approx(-np.log(probabilities[np.arange(60), actual]).mean(), abs=1e-6)
    assert scores["brier"] == pytest.approx(np.square(probabilities - np.eye(breeds)[actual]).sum() / 60, abs=1e-6)
    expected = f1_score(actual, probabilities.argmax(axis=1), labels=labels, average="macro", zero_division=0)
    assert scores["macro_f1"] == pytest.approx(expected, abs=1e-6)


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


def all_pairs(right: dict[str, np.ndarray]) -> list[tuple[str, str, str]]:
    return [("which", *pair) for pair in combinations(right, 2)]


def test_comparison_is_the_exact_binomial_test_on_photos_where_models_disagree():
    first = np.array([True] * 90 + [False] * 10)
    second = np.array([True] * 75 + [False] * 25)  # right on none that first gets wrong
    third = np.concatenate([second[5:], second[:5]])
    right = {"first": first, "second": second, "third": third}
    comparisons = compare_models(right, all_pairs(right), 0.95)
    assert comparisons.loc[0, ["first_only", "second_only"]].tolist() == [15, 0]
    for row, (a, b) in zip(comparisons.itertuples(), [(first, second), (first, third), (second, third)], strict=True):
        only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
        assert (row.first_only, row.second_only) == (only_a, only_b)
        assert row.difference == pytest.approx(a.mean() - b.mean())
        assert row.p == pytest.approx(binomtest(only_a, only_a + only_b).pvalue)


def test_planned_pairs_are_compared_and_no_other_each_with_its_question():
    right = {name: np.random.default_rng(i).random(80) < 0.5 for i, name in enumerate("abcd")}
    planned = [("why", "c", "a"), ("how", "b", "d")]
    comparisons = compare_models(right, planned, 0.95)
    assert list(comparisons) == [
        *("question", "first", "second", "difference", "first_only", "second_only", "p", "p_holm", "photos_needed"),
        "verdict",
    ]
    assert list(comparisons[["question", "first", "second"]].itertuples(index=False, name=None)) == planned


def test_p_values_are_corrected_after_holm_for_the_tests_that_were_planned():
    right = {name: np.random.default_rng(i).random(80) < 0.4 + 0.12 * i for i, name in enumerate("abcd")}
    pairs = all_pairs(right)
    for planned in (pairs, pairs[2:5], pairs[2:3]):
        comparisons = compare_models(right, planned, 0.95)
        assert len(comparisons) == len(planned)
        ordered = comparisons.sort_values("p")
        # Holm: the k-th smallest of m is multiplied by m - k, never below the one before, never above 1
        factors = np.arange(len(ordered), 0, -1)
        expected = np.minimum(np.maximum.accumulate(ordered["p"].to_numpy() * factors), 1)
        np.testing.assert_allclose(ordered["p_holm"], expected)


def test_models_that_are_right_on_the_same_photos_cannot_be_told_apart():
    right = np.array([True, False, True])
    comparison = compare_models({"one": right, "two": right}, [("which", "one", "two")], 0.95).iloc[0]
    assert (comparison["p"], comparison["p_holm"], comparison["difference"]) == (1, 1, 0)
    assert comparison["verdict"] == (
        "one and two can't be told apart with 3 photos (p = 1); "
        "about 390 would be needed to see a difference of 2 points"
    )


@pytest.mark.parametrize(
    ("first_only", "second_only", "p", "photos", "words"),
    [
        (15, 1, 0.0042, 233, "a beats b (p = 0.0042)"),
        (1, 15, 0.0042, 233, "b beats a (p = 0.0042)"),
        (40, 1, 3e-12, 233, "a beats b (p < 0.0001)"),
        (5, 4, 0.8, 233, "a and b can't be told apart with 233 photos (p = 0.8); "
            "about 1,200 would be needed to see a difference of 2 points"),
        (5, 4, 0.8, 5000, "a and b can't be told apart with 5000 photos (p = 0.8); "
            "which would be enough to see a difference of 2 points"),
    ],
)  # fmt: skip
def test_verdict_names_the_better_model_or_says_how_many_photos_it_would_take(
    first_only, second_only, p, photos, words
):
    row = {"first": "a", "second": "b", "first_only": first_only, "second_only": second_only, "p_holm": p}
    assert in_words(pd.Series(row | {"photos_needed": 1234}), 0.95, photos) == words


def test_photos_needed_of_a_case_worked_out_by_hand():
    # (1.959964 * sqrt(0.1) + 0.841621 * sqrt(0.1 - 0.05 ** 2)) ** 2 / 0.05 ** 2 = 0.882614 ** 2 / 0.0025 = 311.6
    assert photos_needed(0.1, 0.05, 0.95, power=0.8) == 312
    assert photos_needed(0.01, 0.05, 0.95) == photos_needed(0.05, 0.05, 0.95)


def test_a_test_with_the_photos_needed_sees_the_difference_as_often_as_was_asked_for():
    disagreement, difference = 0.1, 0.03
    photos = photos_needed(disagreement, difference, 0.95, power=0.8)
    generator = np.random.default_rng(1)
    better, worse = (disagreement + difference) / 2, (disagreement - difference) / 2
    drawn = generator.multinomial(photos, [better, worse, 1 - disagreement], size=2000)
    found = [binomtest(only, only + other).pvalue < 0.05 for only, other, _ in drawn]
    assert 0.76 <= np.mean(found) <= 0.82  # the exact test is a little more careful than the formula's
