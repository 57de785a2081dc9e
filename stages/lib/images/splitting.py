"""Which photo trains, which validates, which tests."""

import hashlib
from collections import defaultdict
from collections.abc import Set

import numpy as np


def _place(seed: int, digest: str) -> float:
    """Where a photo stands on a line from 0 to 1: chance, but the same whatever other photos there are."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{digest}".encode()).digest()[:6]) / 2**48


def assign_splits(
    breeds: list[str],
    groups: np.ndarray,
    digests: list[str],
    test: float,
    val: float,
    seed: int,
    train_only: Set[int] = frozenset(),
) -> list[str]:
    """Split by breed, keeping groups of near duplicates on one side.

    The seed and its content alone give each group a place on a line, which is cut in two where half of train would lie
    on either side. Test takes the first groups before the cut and val the last ones behind it, until the next would be
    more than its share of the photos on that side, but at least one; groups that are larger than such a share, and all
    that is left, train. So a photo more that is nobody's near duplicate concerns one border only, and moves one other
    photo or group of its breed at most (unless it makes the share just large enough for a group that was too large).
    The price is that shares are not exact: of 100 photos, 25 ± 2.2 are in test and 10 ± 1.2 in val (standard
    deviations, for shares of 0.25 and 0.1).

    Args:
        breeds: the breed of each photo.
        groups: int (photos,), equal for near duplicates; a group of several breeds counts for the first by name.
        digests: the sha256 of each photo.
        test: share of each breed's photos, between 0 and 1.
        val: likewise.
        seed: another seed, another split.
        train_only: photos, by place, that move no other one and train, or go where their group's others are.

    Returns:
        "train", "val" or "test" for each photo.
    """
    members = defaultdict(list)
    for photo, group in enumerate(groups):
        if photo not in train_only:
            members[group].append(photo)
    by_breed = defaultdict(list)
    for photos in members.values():
        by_breed[min(breeds[photo] for photo in photos)].append(photos)

    cut = test + (1 - test - val) / 2
    splits = ["train"] * len(breeds)
    for breed_groups in by_breed.values():
        placed = sorted((_place(seed, min(digests[photo] for photo in photos)), photos) for photos in breed_groups)
        before = [photos for place, photos in placed if place < cut]
        behind = [photos for place, photos in placed if place >= cut]
        for split, share, side in (("test", test / cut, before), ("val", val / (1 - cut), behind[::-1])):
            wanted = max(1, round(sum(map(len, side)) * share))
            fitting = [photos for photos in side if len(photos) <= wanted]
            for photos in fitting:
                if len(photos) > wanted:
                    break
                wanted -= len(photos)
                for photo in photos:
                    splits[photo] = split
    for photo in train_only & {place for place, group in enumerate(groups) if group in members}:
        splits[photo] = splits[members[groups[photo]][0]]
    return splits
