import hashlib
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.splits import assign_splits

TEST, VAL = 0.25, 0.15


def digest(name):
    return hashlib.sha256(str(name).encode()).hexdigest()


def split_alone(photos, test=TEST, val=VAL, seed=1):
    """Split photos, each (breed, name), that are no one's duplicates: {photo: split}."""
    breeds = [breed for breed, _ in photos]
    splits = assign_splits(breeds, np.arange(len(photos)), list(map(digest, photos)), test, val, seed)
    return dict(zip(photos, splits, strict=True))


def photos_of(**counts):
    return [(breed, number) for breed, count in counts.items() for number in range(count)]


def moved(before, after):
    """The photos of both that are in another split, with their breeds."""
    return [photo for photo in before.keys() & after.keys() if before[photo] != after[photo]]


@st.composite
def grouped_photos(draw):
    """Groups of one to six photos; each group is of one breed, some of two: breeds, groups, digests."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=40))
    breeds, groups = [], []
    for group, size in enumerate(sizes):
        of_group = draw(st.lists(st.sampled_from("ABC"), min_size=1, max_size=2))
        breeds += [of_group[place % len(of_group)] for place in range(size)]
        groups += [group] * size
    return breeds, np.array(groups), [digest(photo) for photo in range(len(breeds))]


shares = st.sampled_from([0.01, 0.1, 0.15, 0.25, 0.3, 0.45])
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def test_each_breed_has_nearly_the_shares_that_are_wanted():
    counts = np.array(
        [
            [
                Counter(split_alone(photos_of(Cairn=100), seed=seed).values())[split]
                for split in ("train", "val", "test")
            ]
            for seed in range(400)
        ]
    )
    assert np.abs(counts.mean(axis=0) - [60, 15, 25]).max() < 0.5
    assert counts.std(axis=0).round(1).tolist() == [0.7, 1.6, 2.2]  # by chance alone: 4.9, 3.6 and 4.3


def test_the_split_is_a_function_of_the_seed():
    photos = photos_of(Cairn=100, Dingo=100)
    one, again, other = (split_alone(photos, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert len(moved(one, other)) > 50  # by chance 0.6² + 0.25² + 0.15² = 44 % stay: 111 move


@given(st.integers(0, 60), shares, shares, seeds)
@few
def test_a_photo_more_moves_one_other_of_its_breed_at_most_and_none_of_another(count, test, val, seed):
    photos = photos_of(Cairn=count, Dingo=40)
    before = split_alone(photos, test, val, seed)
    for number in range(100, 130):
        after = split_alone([("Cairn", number), *photos], test, val, seed)
        assert [breed for breed, _ in moved(before, after)] in ([], ["Cairn"])


def test_a_photo_that_is_renamed_stays_in_its_split():
    digests = [digest(number) for number in range(30)]
    first = assign_splits(["Cairn"] * 30, np.arange(30), digests, TEST, VAL, 1)
    last_listed_first = assign_splits(["Cairn"] * 30, np.arange(30), [digests[-1], *digests[:-1]], TEST, VAL, 1)
    assert last_listed_first == [first[-1], *first[:-1]]


def test_a_group_that_is_bigger_than_test_and_val_trains():
    groups = np.array([0] * 12 + list(range(1, 29)))
    for seed in range(20):
        splits = assign_splits(["Cairn"] * 40, groups, list(map(digest, range(40))), TEST, VAL, seed)
        assert set(splits[:12]) == {"train"}
        assert {"test", "val"} < set(splits)


def test_no_photos_give_no_splits():
    assert assign_splits([], np.array([], int), [], TEST, VAL, 1) == []


@given(grouped_photos(), shares, shares, seeds)
@few
def test_a_group_is_never_split(photos, test, val, seed):
    breeds, groups, digests = photos
    splits = assign_splits(breeds, groups, digests, test, val, seed)
    assert all(len({splits[photo] for photo in np.flatnonzero(groups == group)}) == 1 for group in groups)


@given(grouped_photos(), seeds, st.randoms(use_true_random=False))
@few
def test_the_order_of_the_photos_changes_nothing(photos, seed, random):
    breeds, groups, digests = photos
    order = list(range(len(breeds)))
    random.shuffle(order)
    splits = assign_splits(breeds, groups, digests, TEST, VAL, seed)
    reordered = assign_splits(
        [breeds[photo] for photo in order], groups[order], [digests[photo] for photo in order], TEST, VAL, seed
    )
    assert reordered == [splits[photo] for photo in order]
