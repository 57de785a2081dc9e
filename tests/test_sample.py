from itertools import combinations

import imagehash
import numpy as np
import pytest
from PIL import Image, ImageOps

from stages.sources.sample import BREEDS, LONGEST_SIDE, PNG_EVERY, SHORTEST_SIDE, draw_dog, draw_sample
from stages.sources.sample_unknown import PICTURES, draw_scene, draw_scenes

DIFFERENT_BITS = 9  # of 64: pictures that differ in fewer pass for copies of one another


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    draw_sample(folder, pictures_per_breed=PNG_EVERY)
    return folder


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_breed_has_its_pictures_and_every_tenth_is_a_png(sample):
    expected = {f"{breed}/{breed.lower()}_{number:03}.jpg" for breed in BREEDS for number in range(PNG_EVERY - 1)}
    expected |= {f"{breed}/{breed.lower()}_{PNG_EVERY - 1:03}.png" for breed in BREEDS}
    assert set(contents(sample)) == expected


def test_a_second_and_smaller_sample_has_the_same_bytes(sample, tmp_path):
    draw_sample(tmp_path, pictures_per_breed=2)
    first = contents(sample)
    assert all(first[name] == content for name, content in contents(tmp_path).items())


def test_a_picture_depends_on_neither_the_order_of_drawing_nor_its_neighbours():
    alone = draw_dog("Dingo", 7)
    draw_dog("Dingo", 6)
    assert draw_dog("Dingo", 7).tobytes() == alone.tobytes()


def test_pictures_are_rgb_and_their_sides_differ(sample):
    sizes = set()
    for path in sample.rglob("*.*"):
        with Image.open(path) as picture:
            assert picture.mode == "RGB"
            assert SHORTEST_SIDE <= min(picture.size) <= max(picture.size) <= LONGEST_SIDE
            sizes.add(picture.size)
    assert any(width > height for width, height in sizes)
    assert any(width < height for width, height in sizes)


def test_no_picture_is_blank(sample):
    for path in sample.rglob("*.*"):
        with Image.open(path) as picture:
            assert np.asarray(picture).std() > 5, path.name


def test_no_picture_nearly_equals_another_or_its_mirror_image(sample):
    hashes = []
    for path in sorted(sample.rglob("*.*")):
        with Image.open(path) as picture:
            hashes.append((path.name, imagehash.phash(picture), imagehash.phash(ImageOps.mirror(picture))))
    for (first_name, first, _), (second_name, second, mirrored) in combinations(hashes, 2):
        assert min(first - second, first - mirrored) >= DIFFERENT_BITS, (first_name, second_name)


# Pictures without a dog


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    draw_scenes(folder, PICTURES)
    return folder


def test_there_are_sixty_scenes_of_the_sizes_that_the_dogs_have_and_none_is_blank(scenes):
    assert sorted(contents(scenes)) == [f"scene_{number:03}.jpg" for number in range(60)]
    sizes = set()
    for path in scenes.iterdir():
        with Image.open(path) as picture:
            assert (picture.mode, picture.format) == ("RGB", "JPEG")
            assert SHORTEST_SIDE <= min(picture.size) <= max(picture.size) <= LONGEST_SIDE
            assert np.asarray(picture).std() > 5, path.name
            sizes.add(picture.size)
    assert len(sizes) > 30


def test_a_second_and_smaller_drawing_of_scenes_has_the_same_bytes_and_each_depends_on_its_number_alone(
    scenes, tmp_path
):
    draw_scenes(tmp_path, 3)
    first = contents(scenes)
    assert contents(tmp_path) == {name: first[name] for name in ("scene_000.jpg", "scene_001.jpg", "scene_002.jpg")}
    alone = draw_scene(7).tobytes()
    draw_scene(6)
    assert draw_scene(7).tobytes() == alone


def test_no_scene_nearly_equals_another_or_its_mirror_image_or_a_picture_of_a_dog(scenes, sample):
    hashes = []
    for path in [*sorted(scenes.iterdir()), *sorted(sample.rglob("*.*"))]:
        with Image.open(path) as picture:
            hashes.append((path.name, imagehash.phash(picture), imagehash.phash(ImageOps.mirror(picture))))
    for (first_name, first, _), (second_name, second, mirrored) in combinations(hashes, 2):
        assert min(first - second, first - mirrored) >= DIFFERENT_BITS, (first_name, second_name)
