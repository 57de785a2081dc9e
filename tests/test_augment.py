import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages import augment
from stages.lib.core.params import Augment
from stages.lib.images.views import random_view, view_generator

SIDE = 32
SETTINGS = {"copies": 3, "rotation": 30, "zoom": 0.2, "flip": True, "brightness": 0.2, "contrast": 0.2}
STILL = {"rotation": 0, "zoom": 0, "flip": False, "brightness": 0, "contrast": 0}
PHOTOS = ["Cairn/a.jpg.png", "Cairn/a.png.png", "Cairn/walk, 2024/b.jpg.png", "Löwchen/c d.jpg.png", "Löwchen/e.png"]


@pytest.fixture
def repository(tmp_path, draw_photo, write_params):
    """A folder with params.yaml and five training photos."""
    write_params(tmp_path / "params.yaml", augment=SETTINGS, seed=1)
    for number, photo in enumerate(PHOTOS):
        path = tmp_path / augment.TRAIN / photo
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_photo(number, (SIDE, SIDE)).save(path)
    return tmp_path


@pytest.fixture
def views_in(run_stage, contents):
    """Run the stage in a folder, and give the bytes of all that it made."""

    def made_in(folder):
        assert run_stage(augment.main, folder) == 0
        return contents(folder / "data" / "augmented")

    return made_in


class Always:
    """Instead of a random generator: ``uniform`` gives what stands at ``place`` between its limits, 0 to 1."""

    def __init__(self, angle, scale):
        self.places = iter([angle, scale, 0.5, 0.5])

    def uniform(self, low, high):
        return low + next(self.places) * (high - low)

    def random(self):
        return 1.0


def view(image, seed=1, copy=0, **settings):
    return random_view(image, view_generator(seed, image.tobytes(), copy), **STILL | settings)


def test_each_photo_has_its_copies_and_the_list_says_which(repository, run_stage, contents):
    assert run_stage(augment.main, repository) == 0
    made = contents(repository / "data" / "augmented")
    expected = pd.DataFrame(
        [
            {"view": f"{photo.removesuffix('.png')}.{copy}.jpg", "photo": photo, "copy": copy}
            for photo in PHOTOS
            for copy in range(3)
        ]
    )
    listed = pd.read_csv(repository / "data" / "augmented" / "augmented" / "views.csv")
    pd.testing.assert_frame_equal(listed, expected)
    assert made.pop("plain/views.csv") == b"view,photo,copy\n"
    assert set(made) == {"augmented/views.csv", *(f"augmented/{name}" for name in expected["view"])}
    assert len(set(made.values())) == len(made)  # no two views are the same
    for name in expected["view"]:
        with Image.open(repository / "data" / "augmented" / "augmented" / name) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (SIDE, SIDE))
            assert {(across, down) for _, across, down, _ in image.layer} == {(1, 1)}, "colour is in full resolution"


def test_a_second_run_makes_the_same_bytes(repository, views_in):
    assert views_in(repository) == views_in(repository)


def test_another_seed_makes_other_views(repository, views_in, write_params):
    first = views_in(repository)
    write_params(repository / "params.yaml", augment=SETTINGS, seed=2)
    second = views_in(repository)
    assert {name for name in first if first[name] == second[name]} == {"augmented/views.csv", "plain/views.csv"}


def test_views_depend_on_their_photo_alone_not_on_its_name_or_its_neighbours(repository, views_in, draw_photo):
    first = views_in(repository)
    train = repository / augment.TRAIN
    (train / "Cairn" / "a.png.png").unlink()
    (train / "Cairn" / "a.jpg.png").rename(train / "Löwchen" / "z.jpg.png")
    draw_photo(9, (SIDE, SIDE)).save(train / "Cairn" / "0.jpg.png")
    second = views_in(repository)
    for copy in range(3):
        for photo in ("Cairn/walk, 2024/b.jpg", "Löwchen/c d.jpg", "Löwchen/e"):
            assert second[f"augmented/{photo}.{copy}.jpg"] == first[f"augmented/{photo}.{copy}.jpg"]
        assert second[f"augmented/Löwchen/z.jpg.{copy}.jpg"] == first[f"augmented/Cairn/a.jpg.{copy}.jpg"]
    assert len(second) == len(first)


def test_more_copies_leave_the_first_ones_as_they_are(repository, views_in, write_params):
    first = views_in(repository)
    write_params(repository / "params.yaml", augment=SETTINGS | {"copies": 4}, seed=1)
    second = views_in(repository)
    pictures = {name for name in first if name.endswith(".jpg")}
    assert all(second[name] == first[name] for name in pictures)
    assert len([name for name in second if name.endswith(".jpg")]) == len(pictures) + len(PHOTOS)


def test_no_copies_give_empty_lists(repository, run_stage, contents, write_params):
    write_params(repository / "params.yaml", augment=SETTINGS | {"copies": 0})
    assert run_stage(augment.main, repository) == 0
    header = b"view,photo,copy\n"
    assert contents(repository / "data" / "augmented") == {"augmented/views.csv": header, "plain/views.csv": header}


def test_nothing_to_change_gives_the_photo_itself(draw_photo):
    photo = draw_photo(1, (SIDE, SIDE))
    for copy in range(5):
        assert view(photo, copy=copy).tobytes() == photo.tobytes()


def test_flip_mirrors_left_and_right_every_second_time(draw_photo):
    photo = draw_photo(1, (SIDE, SIDE))
    mirrored = photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    views = [view(photo, copy=copy, flip=True).tobytes() for copy in range(100)]
    assert set(views) == {photo.tobytes(), mirrored.tobytes()}
    assert 35 <= views.count(mirrored.tobytes()) <= 65


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("settings", [SETTINGS, {"rotation": 180, "zoom": 0.9}])
def test_a_white_photo_stays_white_without_black_corners(settings, mirror):
    white = Image.new("RGB", (SIDE, SIDE), "white")
    changes = {"rotation": settings["rotation"], "zoom": settings["zoom"], "flip": mirror}
    for copy in range(40):
        assert np.asarray(view(white, copy=copy, **changes)).min() == 255


@pytest.mark.parametrize("zoom", [0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("side", [31, 32])
def test_the_margin_suffices_where_a_view_reaches_farthest(zoom, side):
    white = Image.new("RGB", (side, side), "white")
    for angle in (-135, -45, 45, 135):
        farthest = Always(angle=(angle + 180) / 360, scale=0)
        turned = random_view(white, farthest, 180, zoom, flip=False, brightness=0, contrast=0)
        assert np.asarray(turned).min() == 255


def test_a_quarter_turn_and_a_zoom_show_what_they_say(draw_photo):
    photo = draw_photo(1, (SIDE, SIDE))
    turned = random_view(photo, Always(angle=1, scale=0.5), 90, 0, flip=False, brightness=0, contrast=0)
    quarter = photo.transpose(Image.Transpose.ROTATE_270)
    assert np.abs(np.asarray(turned).astype(int) - np.asarray(quarter)).max() <= 1
    nearer = random_view(photo, Always(angle=0.5, scale=1), 0, 0.5, flip=False, brightness=0, contrast=0)
    middle = photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR, (SIDE / 6, SIDE / 6, SIDE * 5 / 6, SIDE * 5 / 6))
    assert np.abs(np.asarray(nearer).astype(int) - np.asarray(middle)).mean() < 2  # two kinds of bilinear


def test_brightness_and_contrast_stay_within_what_they_say():
    grey = Image.new("RGB", (4, 4), (100, 100, 100))
    values = [view(grey, copy=copy, brightness=0.2).getpixel((0, 0))[0] for copy in range(200)]
    assert (min(values), max(values)) == pytest.approx((80, 120), abs=2)
    half = Image.new("RGB", (4, 4), (50, 50, 50))
    half.paste((150, 150, 150), (0, 0, 2, 4))
    spans = [np.ptp(np.asarray(view(half, copy=copy, contrast=0.2)).astype(int)) for copy in range(200)]
    assert (min(spans), max(spans)) == pytest.approx((80, 120), abs=2)


def test_views_of_one_seed_and_copy_differ_between_photos_and_copies_and_seeds():
    first = view_generator(1, b"photo", 0).random()
    others = [view_generator(2, b"photo", 0), view_generator(1, b"photo", 1), view_generator(1, b"other", 0)]
    assert view_generator(1, b"photo", 0).random() == first
    assert first not in [other.random() for other in others]


def test_a_view_is_what_the_parameters_say_but_for_what_jpeg_takes(draw_photo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photo = augment.TRAIN / "Cairn" / "a.png"
    photo.parent.mkdir(parents=True)
    draw_photo(1, (128, 128)).save(photo)
    settings = {name: value for name, value in SETTINGS.items() if name != "copies"}
    with Image.open(photo) as image:
        for row in augment.make_views(photo, tmp_path / "views", 5, Augment(**SETTINGS)):
            expected = random_view(image, view_generator(5, photo.read_bytes(), row["copy"]), **settings)
            with Image.open(tmp_path / "views" / row["view"]) as made:
                difference = np.abs(np.asarray(made).astype(int) - np.asarray(expected))
            assert difference.mean() < 1.5
            assert difference.max() < 20
