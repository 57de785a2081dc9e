"""How familiar a photo is, from where on it is unknown, and whether a breed that was left out is noticed."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from stages.lib.familiarity import conformal, leave_out, scores
from stages.lib.familiarity.leave_out import Photos

# Three directions in a plane: right, up, and half-way between them
HALF = np.sqrt(0.5)
BANK = np.array([[1, 0], [0, 1], [HALF, HALF]], np.float32)


def photos_of(breeds: dict[str, tuple[float, float, float]], count: int, spread: float = 0.05, seed: int = 0) -> Photos:
    """``count`` photos a breed, whose features lie about a direction."""
    generator = np.random.default_rng(seed)
    features = [generator.normal(direction, spread, (count, 3)) for direction in breeds.values()]
    return Photos(np.concatenate(features).astype(np.float32), np.repeat(list(breeds), count))


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
    expected = np.sort(unit[1] @ unit[0].T, axis=1)[:, -5:].mean(axis=1)
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


def test_more_known_photos_make_the_interval_narrower():
    widths = [np.diff(conformal.turned_away_interval(photos, 0.05, 0.95))[0] for photos in (50, 100, 500, 2000)]
    assert widths == sorted(widths, reverse=True)


# Breeds left out

FAR = {"Akita": (1.0, 0.0, 0.0), "Borzoi": (0.0, 1.0, 0.0), "Corgi": (0.0, 0.0, 1.0)}
ALIKE = FAR | {"Dingo": (0.0, 0.02, 1.0)}  # as good as a Corgi


def leave(breeds: dict[str, tuple[float, float, float]], val: int = 20) -> pd.DataFrame:
    train, asked = photos_of(breeds, 30, seed=1), photos_of(breeds, val, seed=2)
    return leave_out.leave_breeds_out(train, asked, None, 0.05, 0.95, seed=1)


def test_breeds_that_look_like_no_other_are_all_turned_away():
    found = leave(FAR)
    assert found["breed"].tolist() == list(FAR)
    assert found["auc"].tolist() == found["turned_away"].tolist() == [1, 1, 1]
    assert found["photos"].tolist() == [50, 50, 50]
    assert found["known_photos"].tolist() == [40, 40, 40]
    assert (found["turned_away_low"] < 1).all()


def test_a_breed_that_looks_like_another_passes_for_it():
    found = leave(ALIKE).set_index("breed")
    assert found.loc["Dingo", ["passes_for", "passes_for_share"]].tolist() == ["Corgi", 1]
    assert found.loc["Corgi", ["passes_for", "passes_for_share"]].tolist() == ["Dingo", 1]
    assert (found.loc[["Corgi", "Dingo"], "turned_away"] < 0.3).all()
    assert found.loc[["Corgi", "Dingo"], "auc"].between(0.3, 0.75).all()
    assert found.loc[["Akita", "Borzoi"], "turned_away"].tolist() == [1, 1]


def test_where_val_is_too_small_no_breed_would_be_turned_away():
    assert leave(FAR, val=9)["turned_away"].tolist() == [0, 0, 0]


def test_training_photos_make_up_for_a_small_val():
    train, val = photos_of(FAR, 30, seed=1), photos_of(FAR, 2, seed=2)
    found = leave_out.leave_breeds_out(train, val, np.arange(90), 0.05, 0.95, seed=1)
    assert found["known_photos"].tolist() == [64, 64, 64]
    assert found["turned_away"].tolist() == [1, 1, 1]


def test_what_is_left_out_depends_on_the_seed_and_not_on_the_order_of_the_photos():
    train, val = photos_of(ALIKE, 30, seed=1), photos_of(ALIKE, 20, seed=2)
    turned = [Photos(photos.features[::-1], photos.breeds[::-1]) for photos in (train, val)]
    first, second = (leave_out.leave_breeds_out(*photos, None, 0.05, 0.95, 1) for photos in ((train, val), turned))
    pd.testing.assert_frame_equal(first, second)


def test_a_breed_alone_cannot_be_left_out():
    train = photos_of({"Akita": FAR["Akita"]}, 5)
    with pytest.raises(ValueError, match="two breeds or more"):
        leave_out.leave_breeds_out(train, train, None, 0.05, 0.95, seed=1)


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
