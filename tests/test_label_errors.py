"""Labels that were swapped on purpose are found, and near duplicates do not vouch for each other."""

import numpy as np
import pandas as pd
import pytest

from stages.lib.labels.label_errors import COLUMNS, can_be_judged, find_suspicious, out_of_fold_probabilities

BREEDS = ["Akita", "Borzoi", "Corgi"]


@pytest.fixture
def photos():
    """Features of 90 photos of three breeds that are easily told apart, and their true labels."""
    labels = np.repeat([0, 1, 2], 30)
    features = np.random.default_rng(0).normal(size=(90, 8)) + 5 * np.eye(8)[labels]
    return features.astype(np.float32), labels


def named(labels: np.ndarray) -> pd.DataFrame:
    names = [f"{BREEDS[label]}/{number:02}.jpg" for number, label in enumerate(labels)]
    return pd.DataFrame({"photo": names, "split": "train", "labelled": np.array(BREEDS)[labels]})


def test_swapped_labels_are_found_and_no_other(photos):
    features, labels = photos
    given = labels.copy()
    given[[3, 40, 77]] = [2, 0, 1]
    table = named(given)
    found = find_suspicious(table, out_of_fold_probabilities(features, given, np.arange(90), seed=1), BREEDS)
    assert list(found.columns) == COLUMNS
    assert sorted(found["photo"]) == sorted(table["photo"].iloc[[3, 40, 77]])
    assert found.set_index("photo").loc[table["photo"].iloc[[3, 40, 77]], "suggested"].tolist() == [
        "Akita",
        "Borzoi",
        "Corgi",
    ]
    assert found["quality"].is_monotonic_increasing
    assert (found["suggested_probability"] > found["quality"]).all()


def test_where_no_label_is_wrong_the_table_is_empty(photos):
    features, labels = photos
    found = find_suspicious(named(labels), out_of_fold_probabilities(features, labels, np.arange(90), seed=1), BREEDS)
    assert found.empty
    assert list(found.columns) == COLUMNS


def test_no_photo_is_judged_by_a_model_that_saw_it_or_its_near_duplicates():
    generator = np.random.default_rng(2)
    noise = generator.normal(size=(45, 200)).astype(np.float32)  # says nothing of the labels
    twins, drawn = np.repeat(noise, 2, axis=0), np.repeat(generator.integers(0, 3, 45), 2)
    groups = np.repeat(np.arange(45), 2)
    apart = out_of_fold_probabilities(twins, drawn, np.arange(90), seed=1).argmax(axis=1)
    together = out_of_fold_probabilities(twins, drawn, groups, seed=1).argmax(axis=1)
    assert (together == drawn).mean() < 0.5 < (apart == drawn).mean()


def test_probabilities_are_the_same_each_time(photos):
    features, labels = photos
    first, again = (out_of_fold_probabilities(features, labels, np.arange(90), seed=1) for _ in range(2))
    assert np.array_equal(first, again)


def test_a_breed_with_fewer_groups_than_folds_cannot_be_judged():
    labels = np.repeat([0, 1], [10, 6])
    assert can_be_judged(labels, np.arange(16))
    assert not can_be_judged(labels, np.array([*range(10), 10, 10, 11, 12, 13, 13]))
