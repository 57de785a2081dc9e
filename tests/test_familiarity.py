"""How familiar a photo is, from where on it is unknown, and whether a breed that was left out is noticed."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, kstest, norm
from sklearn.metrics import roc_auc_score

from stages.lib.evaluation import unknown as judging
from stages.lib.evaluation.notice import LeftOut, tell_notice
from stages.lib.familiarity import conformal, leave_out, scores
from stages.lib.familiarity.leave_out import Photos

# Three directions in a plane: right, up, and half-way between them
HALF = np.sqrt(0.5)
BANK = np.array([[1, 0], [0, 1], [HALF, HALF]], np.float32)


def photos_of(breeds: dict[str, tuple[float, float, float]], count: int, spread: float = 0.05, seed: int = 0) -> Photos:
    """``count`` photos a breed, whose features lie about a direction."""
    generator = np.random.default_rng(seed)
    features = [generator.normal(direction, spread, (count, 3)) for direction in breeds.values()]
    names = np.repeat(list(breeds), count)
    return Photos(np.concatenate(features).astype(np.float32), names, np.arange(len(names)))


def nearest_cosine(bank: np.ndarray, features: np.ndarray, k: int = scores.NEAREST) -> np.ndarray:
    return scores.find_nearest(bank, features, k).cosines.mean(axis=1)


# Scores: the nearest training photos


@pytest.mark.parametrize(
    ("k", "expected"), [(1, 1), (2, (1 + HALF) / 2), (3, (1 + HALF + 0) / 3), (9, (1 + HALF + 0) / 3)]
)
def test_the_mean_cosine_worked_out_by_hand_and_no_more_neighbours_than_there_are(k, expected):
    found = nearest_cosine(BANK, np.array([[7, 0]], np.float32), k)
    assert found.dtype == np.float32
    assert found == pytest.approx([expected])


def test_the_nearest_come_first_and_of_two_alike_the_first_in_the_bank():
    found = scores.find_nearest(np.repeat(BANK, 2, axis=0), np.array([[1, 0], [0, 1]], np.float32), 4)
    assert found.places.tolist() == [[0, 1, 4, 5], [2, 3, 4, 5]]
    assert found.cosines == pytest.approx(np.array([[1, 1, HALF, HALF]] * 2))


@given(seed=st.integers(0, 1000), length=st.sampled_from([1e-20, 0.5, 3.0, 1e20]))
@settings(max_examples=20, deadline=None)
def test_lengths_do_not_count(seed, length):
    bank, features = np.random.default_rng(seed).normal(size=(2, 12, 5)).astype(np.float32)
    bank = scores.normalise(bank)
    expected = nearest_cosine(bank, features)
    assert nearest_cosine(bank, features * np.float32(length)) == pytest.approx(expected, abs=1e-5)
    assert scores.normalise(bank * np.float32(length)) == pytest.approx(bank, abs=1e-6)


def test_a_photo_without_any_feature_is_like_none_and_no_number_is_missing():
    assert nearest_cosine(BANK, np.zeros((1, 2), np.float32)).tolist() == [0]


def test_more_photos_than_are_compared_at_a_time_give_what_all_at_once_would():
    bank, features = (np.random.default_rng(1).normal(size=(n, 8)).astype(np.float32) for n in (40, 600))
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (bank, features)]
    expected = np.sort(unit[1] @ unit[0].T, axis=1)[:, -scores.NEAREST :].mean(axis=1)
    assert nearest_cosine(unit[0], features) == pytest.approx(expected, abs=1e-6)
    assert nearest_cosine(unit[0], features[:0]).shape == (0,)


# Scores: the nearest breed

THREE = np.array([[2, 0], [0, 5], [0, 1], [3, 3], [3, 3]], np.float32)
LABELS = np.array([0, 1, 1, 2, 2])


def test_the_nearest_breed_worked_out_by_hand():
    means = scores.breed_means(THREE, LABELS)
    assert means == pytest.approx(BANK)
    asked = np.array([[9, 0], [-1, 0]], np.float32)
    assert scores.cosines_to_breeds(means, asked) == pytest.approx(np.array([[1, 0, HALF], [-1, 0, -HALF]]))
    found = scores.familiarity(means, asked)
    assert found.dtype == np.float32
    assert found.tolist() == [1, 0]
    assert scores.familiarity(means, asked[:0]).shape == (0,)


def test_each_photo_of_a_breed_counts_alike_however_long_its_features_are():
    means = scores.breed_means(np.array([[100, 0], [0, 1]], np.float32), np.array([0, 0]))
    assert means == pytest.approx(np.array([[HALF, HALF]]))


def test_a_training_photo_is_judged_by_those_that_are_neither_itself_nor_its_near_duplicates():
    alone = scores.leave_one_out_familiarity(THREE, LABELS, np.arange(5))
    assert alone == pytest.approx([HALF, 1, 1, 1, 1])  # the first is its breed's only photo
    alike = scores.leave_one_out_familiarity(THREE, LABELS, np.array([0, 1, 2, 3, 3]))
    assert alike == pytest.approx([HALF, 1, 1, HALF, HALF])


@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_leaving_one_out_gives_what_the_other_photos_would(seed):
    generator = np.random.default_rng(seed)
    features, labels = generator.normal(size=(90, 4)).astype(np.float32), generator.permutation(np.arange(90) % 3)
    groups = generator.integers(0, 60, 90)
    found = scores.leave_one_out_familiarity(features, labels, groups)
    for photo in (0, 45, 89):
        left = (groups != groups[photo]) | (labels != labels[photo])
        expected = scores.familiarity(scores.breed_means(features[left], labels[left]), features[[photo]])
        assert found[photo] == pytest.approx(expected[0], abs=1e-5)


# The threshold


def test_p_values_worked_out_by_hand():
    calibration = np.array([0.9, 0.6, 0.8, 0.6])
    assert conformal.p_values(calibration, np.array([0.5, 0.6, 0.7, 0.8, 1.0])).tolist() == [0.2, 0.6, 0.6, 0.8, 1]


@pytest.mark.parametrize(("photos", "rank"), [(0, 0), (18, 0), (19, 1), (38, 1), (39, 2), (94, 4), (199, 10)])
def test_rank_of_the_threshold_for_a_share_of_one_in_twenty(photos, rank):
    assert conformal.rank_of_threshold(photos, 0.05) == rank


@pytest.mark.parametrize("share", [0.29, 0.07, 0.01, 0.1, 1 / 3, 0.99])
def test_the_fewest_photos_are_those_from_which_on_there_is_a_threshold(share):
    fewest = conformal.fewest_photos(share)
    assert conformal.rank_of_threshold(fewest, share) == 1 or share == 0.99
    assert conformal.rank_of_threshold(fewest - 1, share) == 0
    assert conformal.rank_of_threshold(99, 0.29) == 29  # in floating point, 0.29 * 100 is less


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, np.nan])
def test_a_share_of_none_or_all_is_refused(share):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        conformal.fewest_photos(share)


def test_with_too_few_known_photos_nobody_is_turned_away():
    threshold = conformal.find_threshold(np.linspace(0, 1, 18), 0.05)
    assert threshold is None
    assert not conformal.is_unknown(np.array([-1.0, 0.5]), threshold).any()
    assert conformal.turned_away_interval(18, 0.05, 0.95) == (0, 0)
    assert conformal.find_threshold(np.linspace(0, 1, 19), 0.05) == 0


@given(seed=st.integers(0, 1000), photos=st.integers(1, 120), share=st.sampled_from([0.01, 0.05, 0.1, 0.29, 0.5]))
@settings(max_examples=100, deadline=None)
def test_the_threshold_and_the_p_value_say_the_same_also_of_equal_scores(seed, photos, share):
    generator = np.random.default_rng(seed)
    calibration, asked = (np.round(generator.random(n), 1).astype(np.float32) for n in (photos, 40))
    unknown = conformal.is_unknown(asked, conformal.find_threshold(calibration, share))
    assert unknown.tolist() == (conformal.p_values(calibration, asked) <= share).tolist()


@pytest.mark.parametrize("photos", [25, 94, 400])
def test_the_share_that_is_really_turned_away_is_as_often_within_its_interval_as_told(photos):
    """Scores uniform from 0 to 1, so that a threshold is the share of known photos below it."""
    generator = np.random.default_rng(photos)
    shares = np.array([conformal.find_threshold(generator.random(photos), 0.05) for _ in range(2000)])
    low, high = conformal.turned_away_interval(photos, 0.05, 0.9)
    assert ((low <= shares) & (shares <= high)).mean() == pytest.approx(0.9, abs=0.03)
    rank = conformal.rank_of_threshold(photos, 0.05)
    assert kstest(shares, beta(rank, photos + 1 - rank).cdf).pvalue > 0.001
    assert shares.mean() <= 0.05 + 0.002


def test_the_share_of_a_test_is_as_often_within_its_interval_as_told():
    generator, found = np.random.default_rng(3), []
    for _ in range(2000):
        threshold = conformal.find_threshold(generator.random(221), 0.05)
        found.append((generator.random(79) < threshold).mean())
    low, high = conformal.turned_away_interval(221, 0.05, 0.9, asked=79)
    assert 0.87 < np.mean([low <= share <= high for share in found]) < 0.97, "shares of 79 photos are coarse"


def test_what_is_no_number_is_unknown_and_has_the_least_p_value():
    known, asked = np.linspace(0.1, 0.9, 39), np.array([np.nan, 0.5])
    assert conformal.is_unknown(asked, conformal.find_threshold(known, 0.05)).tolist() == [True, False]
    assert conformal.p_values(known, asked)[0] == 1 / 40


def test_more_known_photos_make_the_interval_narrower():
    widths = [np.diff(conformal.turned_away_interval(photos, 0.05, 0.95))[0] for photos in (50, 100, 500, 2000)]
    assert widths == sorted(widths, reverse=True)


# Breeds left out

FAR = {"Akita": (1.0, 0.0, 0.0), "Borzoi": (0.0, 1.0, 0.0), "Corgi": (0.0, 0.0, 1.0)}
ALIKE = FAR | {"Dingo": (0.0, 0.02, 1.0)}  # as good as a Corgi


def leave(breeds: dict[str, tuple[float, float, float]], train: int = 30, val: int = 20) -> pd.DataFrame:
    known, asked = photos_of(breeds, train, seed=1), photos_of(breeds, val, seed=2)
    return leave_out.leave_breeds_out(known, asked, 0.05, 0.95, seed=1)


def test_breeds_that_look_like_no_other_are_all_turned_away():
    found = leave(FAR)
    assert found["breed"].tolist() == list(FAR)
    assert found["auc"].tolist() == found["turned_away"].tolist() == [1, 1, 1]
    assert found["photos"].tolist() == [50, 50, 50]
    assert found["known_photos"].tolist() == [100, 100, 100], "of train and val, of the two breeds that were left in"
    assert (found["turned_away_low"] < 1).all()


def test_a_breed_that_looks_like_another_passes_for_it():
    found = leave(ALIKE).set_index("breed")
    assert found.loc["Dingo", ["passes_for", "passes_for_share"]].tolist() == ["Corgi", 1]
    assert found.loc["Corgi", ["passes_for", "passes_for_share"]].tolist() == ["Dingo", 1]
    assert (found.loc[["Corgi", "Dingo"], "turned_away"] < 0.3).all()
    assert found.loc[["Corgi", "Dingo"], "auc"].between(0.3, 0.75).all()
    assert found.loc[["Akita", "Borzoi"], "turned_away"].tolist() == [1, 1]


def test_where_known_photos_are_too_few_no_breed_would_be_turned_away():
    found = leave(FAR, train=5, val=4)
    assert found["known_photos"].tolist() == [18, 18, 18]
    assert found["turned_away"].tolist() == [None, None, None]
    assert found["auc"].tolist() == [1, 1, 1]


def test_training_photos_make_up_for_a_small_val():
    train, val = photos_of(FAR, 30, seed=1), photos_of(FAR, 2, seed=2)
    found = leave_out.leave_breeds_out(train, val, 0.05, 0.95, seed=1)
    assert found["known_photos"].tolist() == [64, 64, 64]
    assert found["turned_away"].tolist() == [1, 1, 1]


def test_what_is_left_out_depends_on_the_seed_and_not_on_the_order_of_the_photos():
    train, val = photos_of(ALIKE, 30, seed=1), photos_of(ALIKE, 20, seed=2)
    turned = [Photos(*(values[::-1] for values in photos)) for photos in (train, val)]
    first, second = (leave_out.leave_breeds_out(*photos, 0.05, 0.95, 1) for photos in ((train, val), turned))
    pd.testing.assert_frame_equal(first, second)


def test_a_breed_alone_cannot_be_left_out():
    train = photos_of({"Akita": FAR["Akita"]}, 5)
    with pytest.raises(ValueError, match="two breeds or more"):
        leave_out.leave_breeds_out(train, train, 0.05, 0.95, seed=1)


@pytest.mark.parametrize(("breeds", "sizes"), [(2, {1}), (20, {1}), (21, {1, 2}), (115, {5, 6})])
def test_each_breed_is_left_out_once_in_at_most_twenty_groups(breeds, sizes):
    names = [f"{place:03}" for place in range(breeds)]
    groups = leave_out.group_breeds(names, seed=1)
    assert sorted(breed for group in groups for breed in group) == names
    assert {len(group) for group in groups} == sizes
    assert len(groups) == min(breeds, 20)


def test_the_summary_is_the_mean_over_breeds_within_its_interval():
    table = pd.DataFrame({"auc": [0.9, 1.0, 0.8, 0.7], "turned_away": [0.5, 0.5, 0.5, 0.5]})
    found = leave_out.summarise(table, 0.95, seed=1)
    assert found["auc"] == 0.85
    assert 0.7 <= found["auc_low"] < 0.85 < found["auc_high"] <= 1
    assert [found[f"turned_away{end}"] for end in ("", "_low", "_high")] == [0.5, 0.5, 0.5]
    assert list(found) == ["auc", "auc_low", "auc_high", "turned_away", "turned_away_low", "turned_away_high"]


def test_breeds_left_out_with_too_few_known_photos_are_no_part_of_the_summary():
    table = pd.DataFrame({"auc": [0.9, 0.7], "turned_away": [None, 0.5]}, dtype=float)
    assert leave_out.summarise(table, 0.95, seed=1)["turned_away"] == 0.5
    none = leave_out.summarise(table.assign(turned_away=None), 0.95, seed=1)
    assert (none["auc"], none["turned_away"], none["turned_away_low"]) == (0.8, None, None)


# Scores that are kept


def test_kept_scores_are_rounded_in_order_and_give_the_same_threshold_and_p_values():
    generator = np.random.default_rng(0)
    calibration, asked = (generator.random(count).astype(np.float32) for count in (200, 500))
    kept = conformal.keep_scores(calibration)
    assert kept == sorted(kept) == np.round(np.sort(calibration).astype(float), 6).tolist()
    assert all(len(f"{score}") <= len("0.123456") for score in kept)
    assert json.loads(json.dumps(kept)) == kept
    assert conformal.find_threshold(kept, 0.05) == conformal.find_threshold(calibration, 0.05) == kept[9]
    assert conformal.p_values(kept, asked).tolist() == conformal.p_values(calibration, asked).tolist()


@pytest.mark.parametrize(
    ("score", "unknown"), [(0.1234564, False), (0.1234556, False), (0.1234554, True), (0.1234, True), (0.124, False)]
)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_score_that_is_the_threshold_but_for_its_rounding_is_known_and_its_p_value_says_the_same(
    score, unknown, kind
):
    """0.123456 is 1 of 19 known photos, so that 1 in 20 may be turned away: those that are less familiar than it."""
    known = [0.123456, *np.linspace(0.2, 0.9, 18).tolist()]
    threshold, asked = conformal.find_threshold(known, 0.05), np.array([score], kind)
    assert conformal.is_unknown(asked, threshold).tolist() == [unknown]
    assert (conformal.p_values(known, asked) <= 0.05).tolist() == [unknown]


@given(
    steps=st.lists(st.integers(-8, 8), min_size=19, max_size=60),
    asked=st.lists(st.integers(-40, 40), min_size=1, max_size=20),
    share=st.sampled_from([0.05, 0.1, 0.29]),
)
@settings(max_examples=200, deadline=None)
def test_the_threshold_and_the_p_value_say_the_same_of_scores_that_differ_in_the_last_digits(steps, asked, share):
    known = conformal.keep_scores(0.7 + np.array(steps) * 1e-6)
    scores = (0.7 + np.array(asked) * 2.5e-7).astype(np.float32)
    unknown = conformal.is_unknown(scores, conformal.find_threshold(known, share))
    assert unknown.tolist() == (conformal.p_values(known, scores) <= share).tolist()


# What a threshold does


def test_the_area_and_its_interval_worked_out_by_hand():
    """Known photos are above 2 and 1.5 of 2 unknown ones; the ends solve |0.875 - end| = z error(end)."""
    known, unknown, z = np.array([0.9, 0.5]), np.array([0.5, 0.4]), 0.67449
    area, low, high = judging.auc_interval(known, unknown, 0.5)
    assert area == (2 + 1.5) / 4
    for end in (low, high):
        error = end * (1 - end) * (1 + (1 - end) / (2 - end) + end / (1 + end)) / 4
        assert abs(area - end) == pytest.approx(z * np.sqrt(error), abs=1e-5)
    assert low < area < high


@given(seed=st.integers(0, 1000), digits=st.integers(0, 3), known=st.integers(2, 40), unknown=st.integers(2, 40))
@settings(max_examples=100, deadline=None)
def test_the_area_is_that_of_scikit_learn_also_where_scores_are_equal(seed, digits, known, unknown):
    generator = np.random.default_rng(seed)
    of_known, of_unknown = np.round(generator.random(known) * 1.5, digits), np.round(generator.random(unknown), digits)
    is_known = np.repeat([True, False], [known, unknown])
    area, low, high = judging.auc_interval(of_known, of_unknown, 0.95)
    assert area == pytest.approx(roc_auc_score(is_known, np.concatenate([of_known, of_unknown])))
    assert 0 <= low <= area <= high <= 1


def test_where_all_known_photos_are_more_familiar_the_interval_has_a_width_nevertheless():
    few, many = (judging.auc_interval(np.ones(n), np.zeros(n), 0.95) for n in (5, 500))
    assert few[0] == few[2] == many[0] == many[2] == 1
    assert 0.5 < few[1] < 0.9 < many[1] < 1
    assert judging.auc_interval(np.zeros(5), np.ones(5), 0.95) == pytest.approx((0, 0, 1 - few[1]), abs=1e-9)


@pytest.mark.parametrize(("apart", "known", "unknown"), [(1, 80, 60), (3.3, 79, 60), (3.3, 232, 20), (2.3, 12, 6)])
def test_the_area_is_as_often_within_its_interval_as_told(apart, known, unknown):
    """Normal scores with means apart, of which the area is the chance that one is above the other: 0.76 to 0.99."""
    generator = np.random.default_rng(1)
    within = []
    for _ in range(1000):
        scores = generator.normal(apart, 1, known), generator.normal(0, 1, unknown)
        _, low, high = judging.auc_interval(*scores, 0.95)
        within.append(low <= norm.cdf(apart * np.sqrt(0.5)) <= high)
    assert 0.925 < np.mean(within) < 0.99


KNOWN = np.linspace(0.1, 0.48, 39).tolist()  # of which the second, 0.11, is the threshold of 1 in 20


def test_what_comes_of_a_threshold_worked_out_by_hand():
    test, unknown = np.array([0.5, 0.3, 0.109, 0.2]), np.array([0.0, 0.05, 0.3])
    found = judging.judge_familiarity(KNOWN, test, unknown, 0.05, 0.95)
    assert (found["familiarity_threshold"], found["known_photos"], found["unknown_photos"]) == (0.11, 39, 3)
    assert [found[f"turned_away{end}"] for end in ("", "_low", "_high")] == [0.25, 0.045587, 0.699358], "Wilson's"
    assert [found[f"unknown_turned_away{end}"] for end in ("", "_low", "_high")] == [0.666667, 0.20766, 0.938508]
    assert found["unknown_auc"] == pytest.approx((3 + 2.5 + 2 + 2) / 12, abs=1e-6)
    due = conformal.turned_away_interval(39, 0.05, 0.95, asked=4)
    assert (found["due_low"], found["due_high"]) == pytest.approx(due, abs=1e-6)
    assert json.loads(json.dumps(found)) == found, "numbers of Python's"


def test_without_unknown_photos_nothing_but_that_is_told_of_them():
    test = np.array([0.5, 0.1])
    found = judging.judge_familiarity(KNOWN, test, np.zeros(0), 0.05, 0.95)
    every = judging.judge_familiarity(KNOWN, test, np.zeros(1), 0.05, 0.95)
    assert (found.pop("unknown_photos"), every.pop("unknown_photos")) == (0, 1)
    assert found == {name: value for name, value in every.items() if not name.startswith("unknown_")}
    assert found["turned_away"] == 0.5


def test_with_too_few_known_photos_there_is_no_threshold_and_nobody_is_turned_away():
    found = judging.judge_familiarity(KNOWN[:18], np.array([-1, 1]), np.array([-1, -1]), 0.05, 0.95)
    assert found["familiarity_threshold"] is None
    assert [found[name] for name in ("known_photos", "due_low", "due_high")] == [18, 0, 0]
    assert (found["turned_away"], found["unknown_turned_away"], found["unknown_auc"]) == (0, 0, 0.75)


def test_each_photo_has_its_p_value_and_whether_it_is_turned_away():
    photos = pd.DataFrame({"photo": ["a", "b", "c"]})
    table = judging.tabulate_familiarity(photos, np.array([0.1099999, 0.1, 0.5], np.float32), KNOWN, 0.11)
    assert table["photo"].tolist() == ["a", "b", "c"]
    assert table["p_value"].tolist() == [3 / 40, 2 / 40, 1]
    assert table["unknown"].tolist() == [False, True, False], "the first is 0.11 but for rounding"
    assert not judging.tabulate_familiarity(photos, np.zeros(3), KNOWN[:18], None)["unknown"].any()


def test_the_curve_goes_from_nobody_to_everybody_turned_away_and_has_the_area_below_it():
    generator = np.random.default_rng(0)
    test, unknown = generator.normal(1, 1, 50), generator.normal(0, 1, 30)
    curve = judging.trace_curve(test, unknown)
    assert curve.iloc[[0, -1]].to_numpy().tolist() == [[0, 0], [1, 1]]
    area = np.trapezoid(curve["unknown_turned_away"], curve["known_turned_away"])
    assert area == pytest.approx(judging.auc_interval(test, unknown, 0.95)[0])
    for known_too in (True, False):
        none = judging.trace_curve(test if known_too else np.empty(0), unknown[:0])
        assert (list(none.columns), len(none)) == (list(curve.columns), 0)


# In words

SCORES = {
    "familiarity_threshold": 0.4, "known_photos": 1234, "due_low": 0.021, "due_high": 0.064, "turned_away": 0.045,
    "unknown_photos": 0,
}  # fmt: skip
OF_UNKNOWN = {
    "unknown_photos": 60, "unknown_turned_away": 0.75,
    "unknown_turned_away_low": 0.63, "unknown_turned_away_high": 0.84,
}  # fmt: skip
LEFT_OUT = LeftOut(
    {"turned_away": 0.613, "turned_away_low": 0.33, "turned_away_high": 0.89},
    [
        {"breed": "Akita", "turned_away": 0.9, "passes_for": "Borzoi"},
        {"breed": "Borzoi", "turned_away": 0.2, "passes_for": "Corgi"},
        {"breed": "Corgi", "turned_away": 0.2, "passes_for": "Akita"},
    ],
)


def tell(scores: dict, left_out: LeftOut | None = None) -> str:
    return tell_notice("best", scores, "79 test photos", "others/cats", 0.05, 0.95, left_out)


def test_what_is_noticed_is_told_in_sentences():
    told = tell(SCORES | OF_UNKNOWN, LEFT_OUT)
    assert told == (
        "Of the 79 test photos, best calls 4.5 % “none of these breeds”: 5 % were asked for, and 2.1 % to 6.4 % may be "
        "by chance, as the threshold comes from 1,234 photos. Of 60 photos of anything else (others/cats), it turns "
        "away 75.0 % (95 % interval: 63.0 % to 84.0 %). Of a breed that it does not know it would notice 61.3 % of the "
        "photos (33.0 % to 89.0 %), by its own breeds, left out in turn; least of Borzoi, 20.0 %, which is most often "
        "nearest to Corgi."
    )


def test_drawn_scenes_are_told_to_be_drawn():
    told = tell_notice("best", SCORES | OF_UNKNOWN, "9 test photos", "data/sample_unknown", 0.05, 0.95)
    assert "Of 60 drawn scenes without a dog (data/sample_unknown), it turns away" in told


def test_of_breeds_too_few_to_be_left_out_nothing_is_claimed():
    none = dict.fromkeys(("turned_away", "turned_away_low", "turned_away_high"))
    told = tell(SCORES, LeftOut(none, [{"breed": "Akita", **none}]))
    assert told.endswith("Whether it would notice a breed that it does not know, its own breeds are too few to tell.")


def test_what_was_not_looked_for_is_left_out_of_the_sentences():
    assert "anything else" not in tell(SCORES, LEFT_OUT)
    assert "does not know" not in tell(SCORES | OF_UNKNOWN)
    few = SCORES | OF_UNKNOWN | {"familiarity_threshold": None, "known_photos": 18}
    assert tell(few, LEFT_OUT) == (
        "best turns nobody away: to call 5 % of known photos “none of these breeds” takes 19 that can tell what is "
        "usual, and there are 18."
    )
