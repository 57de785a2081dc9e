import io
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from stages.lib.images import duplicates
from stages.lib.images.duplicates import group_labels, near_pairs, perceptual_hashes

DISTANCE = 8  # as in params.yaml


def recompressed(image, quality=30):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def cropped(image, share=0.02):
    across, down = round(image.width * share), round(image.height * share)
    return image.crop((across, down, image.width - across, image.height - down))


COPIES = {
    "recompressed": recompressed,
    "half_the_size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice_the_size": lambda image: image.resize((image.width * 2, image.height * 2)),
    "out_of_shape": lambda image: image.resize((100, 100)),
    "lighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "grey": ImageOps.grayscale,
    "cropped_by_2_percent": cropped,
    "mirrored": ImageOps.mirror,
    "mirrored_and_recompressed": lambda image: recompressed(ImageOps.mirror(image)),
    "mirrored_and_cropped": lambda image: cropped(ImageOps.mirror(image)),
}


@pytest.fixture(scope="module")
def photos(draw_photo):
    return [draw_photo(number, size) for number in range(20) for size in [(200, 150)]]


def hashes_of(images):
    hashes, mirrored = zip(*map(perceptual_hashes, images), strict=True)
    return np.array(hashes, np.uint64), np.array(mirrored, np.uint64)


def pairs_of(images, distance=DISTANCE):
    return near_pairs(*hashes_of(images), distance).tolist()


def brute_force(hashes, mirrored, distance):
    def bits(one, other):
        return (int(one) ^ int(other)).bit_count()

    return [
        [i, j]
        for i, j in combinations(range(len(hashes)), 2)
        if min(bits(hashes[i], hashes[j]), bits(hashes[i], mirrored[j]), bits(mirrored[i], hashes[j])) <= distance
    ]


def random_hashes(count):
    """Hashes of which some differ from others in a few bits, and their mirror images' likewise."""
    generator = np.random.default_rng(3)
    hashes, mirrored = generator.integers(0, 2**64, (2, count), np.uint64)
    for place in range(count):
        flipped = np.bitwise_or.reduce(np.uint64(1) << generator.integers(0, 64, place % 14, np.uint64), initial=0)
        source = hashes if generator.random() < 0.5 else mirrored
        hashes[place] = source[generator.integers(count)] ^ np.uint64(flipped)
    return hashes, mirrored


def test_different_pictures_are_not_taken_for_one(photos):
    assert pairs_of(photos) == []


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_found_and_nothing_else(photos, copy):
    copies = [COPIES[copy](photo) for photo in photos]
    assert pairs_of([*photos, *copies]) == [[place, place + len(photos)] for place in range(len(photos))]


def test_a_mirrored_copy_is_found_on_whichever_side_it_stands(photos):
    copy = cropped(ImageOps.mirror(photos[0]))
    assert pairs_of([photos[0], photos[1], copy]) == pairs_of([copy, photos[1], photos[0]]) == [[0, 2]]


def test_distance_zero_finds_the_same_picture_alone(photos):
    assert pairs_of([photos[0], photos[1], photos[0]], distance=0) == [[0, 2]]
    assert pairs_of([photos[0], cropped(photos[0])], distance=0) == []


@pytest.mark.parametrize("block", [1, 7, 50, 99, 100, 101, 256])
def test_pairs_are_those_of_a_brute_force_search_whatever_the_block(monkeypatch, block):
    monkeypatch.setattr(duplicates, "_BLOCK", block)
    hashes, mirrored = random_hashes(100)
    for distance in (0, 4, 8, 30):
        expected = brute_force(hashes, mirrored, distance)
        assert expected
        assert near_pairs(hashes, mirrored, distance).tolist() == expected


@pytest.mark.parametrize("count", [0, 1])
def test_one_photo_or_none_has_no_pair_and_as_many_groups(count):
    pairs = near_pairs(np.zeros(count, np.uint64), np.zeros(count, np.uint64), 64)
    assert pairs.shape == (0, 2)
    assert group_labels(count, pairs).tolist() == list(range(count))


def test_groups_are_connected_through_others():
    assert group_labels(7, np.array([[0, 3], [3, 5], [1, 6]])).tolist() == [0, 1, 2, 0, 3, 0, 1]


def test_photos_without_a_duplicate_are_groups_of_their_own():
    assert group_labels(3, np.empty((0, 2), int)).tolist() == [0, 1, 2]
