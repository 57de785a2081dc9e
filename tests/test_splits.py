import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.lib.images.splitting import _place, assign_splits

TEST, VAL = 0.25, 0.1


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
    splits = [list(split_alone(photos_of(Cairn=100), seed=seed).values()) for seed in range(400)]
    counts = np.array([[of_seed.count(split) for split in ("train", "val", "test")] for of_seed in splits])
    assert np.abs(counts.mean(axis=0) - [65, 10, 25]).max() < 0.5
    assert counts.std(axis=0).round(1).tolist() == [1.1, 1.2, 2.2]  # by chance alone: 4.8, 3.0 and 4.3


def test_breeds_of_few_photos_have_one_in_each_split_nearly_always():
    for photos, seeds_that_may_fail in ((8, 6), (10, 2), (12, 0)):
        failed = sum(len(set(split_alone(photos_of(Cairn=photos), seed=seed).values())) < 3 for seed in range(300))
        assert failed <= seeds_that_may_fail


def test_the_split_is_a_function_of_the_seed():
    photos = photos_of(Cairn=100, Dingo=100)
    one, again, other = (split_alone(photos, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert len(moved(one, other)) > 50  # by chance 0.65² + 0.25² + 0.1² = 50 % stay: 101 move


@given(st.integers(0, 60), shares, shares, seeds)
@few
def test_a_photo_more_moves_one_other_of_its_breed_at_most_and_none_of_another(count, test, val, seed):
    photos = photos_of(Cairn=count, Dingo=40)
    before = split_alone(photos, test, val, seed)
    for number in range(100, 130):
        after = split_alone([("Cairn", number), *photos], test, val, seed)
        assert [breed for breed, _ in moved(before, after)] in ([], ["Cairn"])


@given(st.lists(st.integers(1, 3), min_size=40, max_size=60), seeds)
@few
def test_a_photo_more_that_is_no_duplicate_moves_one_group_at_most(sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    digests = [digest(photo) for photo in range(len(groups) + 20)]
    before = assign_splits(["Cairn"] * len(groups), groups, digests[: len(groups)], TEST, VAL, seed)
    for added in digests[len(groups) :]:
        after = assign_splits(
            ["Cairn"] * (len(groups) + 1), np.append(groups, -1), [*digests[: len(groups)], added], TEST, VAL, seed
        )
        assert len({group for group, one, other in zip(groups, before, after, strict=False) if one != other}) <= 1


def test_a_photo_that_is_renamed_stays_in_its_split():
    digests = [digest(number) for number in range(30)]
    first = assign_splits(["Cairn"] * 30, np.arange(30), digests, TEST, VAL, 1)
    last_listed_first = assign_splits(["Cairn"] * 30, np.arange(30), [digests[-1], *digests[:-1]], TEST, VAL, 1)
    assert last_listed_first == [first[-1], *first[:-1]]


def test_a_group_that_is_larger_than_a_splits_share_of_its_side_trains():
    groups = np.array([0] * 20 + list(range(1, 21)))  # 20 of at most 40 photos on a side
    for seed in range(50):
        splits = assign_splits(["Cairn"] * 40, groups, list(map(digest, range(40))), TEST, VAL, seed)
        assert set(splits[:20]) == {"train"}
        assert set(splits[20:]) == {"train", "val", "test"}


@given(grouped_photos(), shares, shares, seeds)
@few
def test_test_and_val_take_from_their_ends_of_the_line_until_the_next_group_would_be_too_much(photos, test, val, seed):
    breeds, groups, digests = photos
    splits = assign_splits(breeds, groups, digests, test, val, seed)
    cut = test + (1 - test - val) / 2
    sides = {}
    for group in set(groups):
        members = np.flatnonzero(groups == group)
        place = _place(seed, min(digests[photo] for photo in members))
        breed = min(breeds[photo] for photo in members)
        side, distance, share = ("test", place, test / cut) if place < cut else ("val", -place, val / (1 - cut))
        sides.setdefault((breed, side, share), []).append((distance, len(members), splits[members[0]]))
    for (_, side, share), found in sides.items():
        wanted = max(1, round(sum(size for _, size, _ in found) * share))
        fitting = [(size, split) for _, size, split in sorted(found) if size <= wanted]
        taken = [size for size, split in fitting if split == side]
        assert [split for _, split in fitting] == [side] * len(taken) + ["train"] * (len(fitting) - len(taken))
        assert sum(taken) <= wanted
        assert len(taken) == len(fitting) or sum(taken) + fitting[len(taken)][0] > wanted
        assert {split for _, size, split in found if size > wanted} <= {"train"}


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


@given(grouped_photos(), st.sampled_from([0.1, 0.25, 0.4]), st.sampled_from([0.1, 0.2]), st.integers(0, 99))
def test_photos_that_only_train_move_no_other_one_and_stay_with_their_group(photos, test, val, seed):
    breeds, groups, digests = photos
    rest = [place for place in range(len(breeds)) if place % 3]
    alone = assign_splits([breeds[i] for i in rest], groups[rest], [digests[i] for i in rest], test, val, seed)
    splits = assign_splits(breeds, groups, digests, test, val, seed, set(range(len(breeds))) - set(rest))
    assert [splits[place] for place in rest] == alone
    of_group = dict(zip(groups[rest].tolist(), alone, strict=True))
    assert splits == [of_group.get(group, "train") for group in groups.tolist()]
