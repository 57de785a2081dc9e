"""Each fault that `python -m benchmarks.faults` puts back does what its name says, on tiny inputs."""

import re

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image

from benchmarks.faults import __main__ as main_module
from benchmarks.faults import (
    going_on,
    leaking_views,
    moving_batch_norm,
    near_duplicates,
    one_split,
    scaled_pixels,
    shuffled_matrix,
    squashing,
    steering_by_test,
)
from benchmarks.faults.__main__ import FAULTS, keep
from benchmarks.faults.outcomes import Outcome, mean_and_interval, spread, summarise, to_markdown
from benchmarks.faults.photos import Photographs, light_edit, pixels_of
from benchmarks.faults.recipe import Pictures, Recipe
from stages.lib.core.params import Split, load_params
from stages.lib.core.registry import NETWORKS
from stages.lib.images.duplicates import near_pairs, perceptual_hashes

PARAMS = load_params()
BREEDS, EACH = 2, 20
SHARES = Split(test=0.25, val=0.2)
FEW = {"steps": 6, "validate_every": 2, "batch_size": 8, "learning_rate": 0.03}
TRANSFER = PARAMS.transfer.model_copy(update=FEW)


def features(photos=BREEDS * EACH, copies=0, seed=0):
    """Random features of photos of two breeds, and then of ``copies`` views of each, near to their photo's."""
    generator = np.random.default_rng(seed)
    labels = np.arange(photos) % BREEDS
    inputs = generator.normal(labels[:, None], 1, (photos, 6)).astype(np.float32)
    rows = np.concatenate([np.arange(photos), np.repeat(np.arange(photos), copies)])
    views = np.arange(len(rows)) >= photos
    noise = generator.normal(0, 0.1, (len(rows), 6)) * views[:, None]
    breeds = np.array(["Beagle", "Poodle"])[labels]
    digests = np.array([f"digest {row}" for row in range(photos)])
    inputs = (inputs[rows] + noise).astype(np.float32)
    return Pictures(inputs, breeds[rows], rows, views, rows, digests[rows])


def with_edits(photos=BREEDS * EACH):
    """Photos, and behind them an edit of each, which the pipeline takes for a near duplicate."""
    one = features(photos)
    twice = Pictures(
        *(
            np.concatenate([getattr(one, name)] * 2)
            for name in ("inputs", "breeds", "shows", "views", "groups", "digests")
        )
    )
    digests = np.array([f"{digest}, {row}" for row, digest in enumerate(twice.digests)])
    return Pictures(twice.inputs, twice.breeds, twice.shows, twice.views, twice.groups, digests)


def sides(recipe):
    """The photos that each split shows."""
    shows = recipe.pictures.shows
    return {split: {*shows[recipe.splits == split].tolist()} for split in ("train", "val", "test")}


# The sound recipe


def test_the_sound_recipe_keeps_views_and_near_duplicates_with_their_photo_and_steers_by_photos_of_val():
    for pictures in (features(copies=3), with_edits()):
        recipe = Recipe(pictures, TRANSFER, SHARES, 1)
        train, val, test = sides(recipe).values()
        assert train and val and test
        assert not train & val and not train & test and not val & test
        assert (recipe.splits[recipe.steering()] == "val").all() and not pictures.views[recipe.steering()].any()
        assert (recipe.splits[recipe.training()] == "train").all()
        assert not (recipe.training() & recipe.steering()).any() and not (recipe.training() & recipe.test).any()


def test_the_sound_recipe_gives_the_same_each_time():
    one, other = (Recipe(features(), TRANSFER, SHARES, 3) for _ in range(2))
    pd.testing.assert_frame_equal(one.trained[1], other.trained[1])
    assert one.accuracy(one.test) == other.accuracy(other.test)


# The patches


def test_scaled_pixels_reach_the_network_between_0_and_1_and_the_registry_is_as_before(monkeypatch):
    before, seen = NETWORKS["VGG16"], []
    monkeypatch.setattr(
        scaled_pixels, "frozen_features", lambda network, pixels: seen.append(NETWORKS[network].preprocess(pixels))
    )
    pixels = np.array([[[[0, 51, 255]]]], np.uint8)
    scaled_pixels.features_of_scaled("VGG16", pixels)
    np.testing.assert_allclose(seen[0], [[[[0, 0.2, 1]]]])
    assert NETWORKS["VGG16"] is before
    assert np.abs(np.asarray(before.preprocess(pixels.astype(np.float32)))).max() > 100


def test_test_steers_by_one_half_and_the_other_half_is_looked_at_by_nobody():
    pictures = features()
    faulty = steering_by_test.SteeredByTest(pictures, TRANSFER, steering_by_test.SHARES, 1, half=0)
    one, other = faulty.halves()
    assert (faulty.steering() == one).all() and not (one & other).any()
    assert ((one | other) == faulty.test).all()
    for half in (one, other):
        assert {*pictures.breeds[half].tolist()} == {"Beagle", "Poodle"}
        assert not (half & faulty.training()).any()


def test_what_steers_is_what_the_history_reports():
    faulty = steering_by_test.SteeredByTest(features(), TRANSFER, steering_by_test.SHARES, 1, half=1)
    history = faulty.trained[1]
    kept = history.loc[history["val_loss"].idxmin(), "val_accuracy"]
    assert faulty.accuracy(faulty.steering()) == pytest.approx(kept)


def test_a_shuffled_matrix_has_the_same_answers_beside_other_photos():
    sound, faulty = (recipe(features(), TRANSFER, SHARES, 1) for recipe in (Recipe, shuffled_matrix.ShuffledMatrix))
    right, wrong = (recipe.predicted(recipe.training()) for recipe in (sound, faulty))
    assert (np.sort(right) == np.sort(wrong)).all() and (right != wrong).any()


def test_a_split_by_file_tears_edits_from_their_photos():
    faulty = near_duplicates.SplitByFile(with_edits(), TRANSFER, SHARES, 1)
    known = near_duplicates.known(faulty)
    assert known.any() and (known <= faulty.test).all()
    assert {*faulty.pictures.shows[known].tolist()} == sides(faulty)["train"] & sides(faulty)["test"]
    sound = Recipe(faulty.pictures, TRANSFER, SHARES, 1)
    assert not near_duplicates.known(sound).any()


@pytest.mark.parametrize(("share", "planted"), [(0.0, 0), (0.1, 4), (0.3, 12), (1.0, 40)])
def test_of_a_share_of_the_photos_an_edit_is_planted(share, planted):
    pictures = near_duplicates.plant(with_edits(), share, seed=1)
    assert len(pictures.shows) == BREEDS * EACH + planted
    assert (pictures.shows[: BREEDS * EACH] == np.arange(BREEDS * EACH)).all()


def test_a_light_edit_is_another_file_that_the_pipeline_takes_for_the_same_photo(draw_photo):
    photos = [draw_photo(number, (300, 220)) for number in range(12)]
    edits = [light_edit(photo, np.random.default_rng(number)) for number, photo in enumerate(photos)]
    assert all(edit.size != photo.size for edit, photo in zip(edits, photos, strict=True))
    hashes, mirrored = np.array([perceptual_hashes(image) for image in [*photos, *edits]], np.uint64).T
    pairs = {tuple(pair) for pair in near_pairs(hashes, mirrored, PARAMS.data.duplicate_distance).tolist()}
    assert len({(number, number + 12) for number in range(12)} & pairs) >= 11


def test_augmented_first_val_shows_what_trains_and_test_still_does_not():
    faulty = leaking_views.AugmentedFirst(features(copies=4), TRANSFER, SHARES, 1)
    train, val, test = sides(faulty).values()
    assert len(val & train) > len(val) / 2
    assert not test & (train | val)
    assert faulty.pictures.views[faulty.steering()].any()
    assert test == sides(Recipe(faulty.pictures, TRANSFER, SHARES, 1))["test"]


def test_going_on_begins_with_what_the_training_before_had_learned():
    pictures = features(copies=2)
    plain = Recipe(pictures.only(~pictures.views), TRANSFER, SHARES, 1)
    fresh = Recipe(pictures, TRANSFER, SHARES, 1)
    faulty = going_on.GoingOn(pictures, TRANSFER, SHARES, 1, plain.trained[0])
    of_plain, of_fresh, of_faulty = (each.trained[1]["val_loss"] for each in (plain, fresh, faulty))
    assert of_fresh.iloc[0] == pytest.approx(of_plain.iloc[0], abs=1e-5)
    assert of_faulty.iloc[0] == pytest.approx(of_plain.min(), abs=1e-5)
    assert of_plain.min() < of_plain.iloc[0]


def small_backbone():
    photo = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, name="convolution")(photo)
    return keras.Model(photo, keras.layers.BatchNormalization(name="norm")(x))


def weights_by_name(backbone):
    return {weight.path.partition("/")[2] or weight.path: weight.numpy() for weight in backbone.weights}


def test_a_batch_norm_that_moves_changes_its_means_and_variances_and_nothing_else(monkeypatch):
    made = []
    monkeypatch.setattr(moving_batch_norm, "build_backbone", lambda *_: made.append(small_backbone()) or made[-1])
    pictures = features()
    pixels = np.random.default_rng(0).integers(0, 256, (len(pictures.shows), 16, 16, 3)).astype(np.float32)
    pictures = Pictures(pixels, pictures.breeds, pictures.shows, pictures.views, pictures.groups, pictures.digests)
    faulty = moving_batch_norm.MovingBatchNorm(pictures, TRANSFER, SHARES, 1, "any")
    fresh = faulty.start()
    before = {layer.name: [weight.copy() for weight in layer.get_weights()] for layer in made[0].layers}
    names = [weight.path.rsplit("/", 1)[-1] for weight in made[0].get_layer("norm").weights]
    fresh.compile(keras.optimizers.AdamW(1e-2), loss="categorical_crossentropy")
    fresh.fit(pixels, np.eye(BREEDS)[pictures.labels], epochs=1, verbose=0)
    after = {layer.name: layer.get_weights() for layer in made[0].layers}
    assert all((old == new).all() for old, new in zip(before["convolution"], after["convolution"], strict=True))
    changed = {name for name, old, new in zip(names, before["norm"], after["norm"], strict=True) if (old != new).any()}
    assert changed == {"moving_mean", "moving_variance"}


@pytest.mark.parametrize("place", range(8))
def test_a_photo_is_cut_to_a_format_that_is_not_square(place, draw_photo):
    cut = squashing.cut_to_format(draw_photo(1, (200, 200)), place)
    assert min(abs(cut.width / cut.height - wanted) for wanted in squashing.FORMATS) < 0.02
    assert max(cut.size) == 200


def test_to_squash_keeps_the_edges_of_a_photo_and_narrows_what_is_on_it():
    pixels = np.zeros((60, 90, 3), np.uint8)
    pixels[:, :5], pixels[20:40, 35:55] = 255, 255  # a stripe at the left edge, and a square of 20 pixels
    made = {how: pixels_of([Image.fromarray(pixels)], 60, how)[0, ..., 0] > 127 for how in ("squash", "crop")}
    assert made["squash"][:, 0].all() and not made["crop"][:, 0].any()
    widths = {how: picture[30, 10:].sum() for how, picture in made.items()}
    assert widths["crop"] == pytest.approx(20, abs=1) and widths["squash"] == pytest.approx(20 * 60 / 90, abs=1)


def test_on_the_same_split_another_seed_trains_another_network():
    one, other = (one_split.SameSplit(features(), TRANSFER, SHARES, seed) for seed in (4, 5))
    assert (one.splits == other.splits).all()
    assert (Recipe(features(), TRANSFER, SHARES, 4).splits != one.splits).any()
    assert not one.trained[1].equals(other.trained[1])


# What follows from the outcomes


def test_the_interval_of_a_mean_is_students():
    assert mean_and_interval(np.array([1.0, 2.0, 3.0])) == pytest.approx((2, 2 - 2.4841, 2 + 2.4841), abs=1e-4)


def test_a_summary_has_what_a_fault_flatters_by_and_what_it_costs():
    rows = [Outcome("it", "head", seed, 0.9, 0.7, 0.8) for seed in (1, 2)]
    (row,) = summarise(pd.DataFrame(rows)).to_dict("records")
    assert row["seeds"] == 2
    expected = {"reported": 0.9, "true": 0.7, "sound": 0.8, "flatters": 0.2, "flatters_low": 0.2, "costs": 0.1}
    assert {name: row[name] for name in expected} == pytest.approx(expected)


def test_a_split_is_wrong_where_the_worse_model_wins_or_neither_does():
    gains = [0.1, -0.1, 0.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    rows = [Outcome("one_split", "pair", seed, gain, np.mean(gains), np.mean(gains)) for seed, gain in enumerate(gains)]
    (row,) = spread(pd.DataFrame(rows)).to_dict("records")
    assert (row["tried"], row["wrong"], row["wrong_of_five"]) == (10, 0.2, 0)
    assert row["true"] == pytest.approx(0.07)


def test_what_is_measured_again_replaces_what_was_and_leaves_the_rest(tmp_path):
    def rows(fault, reported):
        return pd.DataFrame([Outcome(fault, "head", 1, reported, 0.5, 0.5)])

    file = tmp_path / "faults.csv"
    keep(rows("squashing", 0.1), file)
    keep(rows("scaled_pixels", 0.2), file)
    keep(rows("squashing", 0.3), file)
    kept = pd.read_csv(file)
    assert list(zip(kept["fault"], kept["reported"], strict=True)) == [("scaled_pixels", 0.2), ("squashing", 0.3)]


def test_the_command_measures_what_is_asked_for_keeps_it_and_draws_it(tmp_path, draw_photo, monkeypatch, capsys):
    (tmp_path / "photos/Beagle").mkdir(parents=True)
    draw_photo(1, (160, 120)).save(tmp_path / "photos/Beagle/1.png")
    rows = [Outcome("going_on", f"{network}, now", seed, 0.03, 0.01, 0.01) for network in "ab" for seed in (1, 2)]
    splits = [
        Outcome("one_split", "pair", seed, gain, 0.02, 0.02)
        for seed, gain in enumerate([0.03, -0.01, 0.04, 0.03, 0.01])
    ]
    monkeypatch.setattr(main_module, "MEASURED", tmp_path / "faults.csv")
    monkeypatch.setattr(main_module, "PICTURES", tmp_path / "pictures")
    monkeypatch.setattr(going_on, "measure", lambda *_: rows)
    monkeypatch.setattr(one_split, "measure", lambda *_: splits)
    command = ["faults", "--photos", str(tmp_path / "photos"), "--only", "going_on", "one_split"]
    monkeypatch.setattr("sys.argv", command)
    main_module.main()
    printed = capsys.readouterr().out
    assert "| `going_on` | a, now | 3.0 | 1.0 | 1.0 | +2.0 (2.0 to 2.0) | 0 |" in printed
    assert "| pair | 5 | 2.0 |" in printed and "| 20% | 0% |" in printed
    for fault in ("going_on", "one_split"):
        with Image.open(tmp_path / f"pictures/{fault}.png") as picture:
            assert picture.width > 500
    assert len(pd.read_csv(tmp_path / "faults.csv")) == 9


def test_the_tables_of_the_page_are_what_was_measured(root):
    outcomes = pd.read_csv(main_module.MEASURED)
    page = (root / "docs/faults.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| (`\w+` \| .* \| [\d−]|.* \| \d+ \| \d)", line)]
    assert rows == to_markdown(outcomes)
    measured = sorted(set(outcomes["fault"]))
    pictures = re.findall(r"\]\(faults/(\w+)\.png\)", page)
    assert sorted(pictures) == measured and set(measured) <= set(FAULTS)
    assert all((root / f"docs/faults/{fault}.png").exists() for fault in pictures)


def test_photographs_have_views_and_edits_that_show_their_photo(tmp_path, draw_photo):
    for number in range(8):
        file = tmp_path / ("Beagle" if number < 4 else "Poodle") / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        draw_photo(number, (160, 120)).save(file)
    photographs = Photographs(tmp_path, PARAMS)
    copies = PARAMS.augment.copies
    views, edits = photographs.with_views, photographs.with_edits
    assert views.views.sum() == 8 * copies and (views.shows[8 : 8 + copies] == 0).all()
    assert (views.breeds == views.breeds[views.shows]).all()
    assert not edits.views.any() and (edits.shows == [*range(8), *range(8)]).all()
    assert (edits.groups[:8] == edits.groups[8:]).mean() > 0.8
    assert (edits.breeds == np.array(["Beagle"] * 4 + ["Poodle"] * 4)[edits.shows]).all()
    assert len({*edits.digests.tolist()}) == 16
    assert photographs.small("photos").inputs.shape == (8, 64, 64, 3)


def test_the_tables_of_the_page_are_those_of_the_outcomes_that_are_kept():
    rows = to_markdown(pd.read_csv(ROOT / "benchmarks/faults.csv"))
    page = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
    assert [row for row in page.splitlines() if row.startswith("| ") and row in rows] == [*filter(None, rows)]
