"""Would more photos help: nested draws with their views, scores on val, and words that claim no more than these."""

import itertools
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from stages import data_size
from stages.data_size import SHARES
from stages.lib.core.arrays import Rows
from stages.lib.core.params import Transfer
from stages.lib.datasets.features import FeatureRows
from stages.lib.evaluation.data_size import compare_sizes, in_words, p_of_gain
from stages.lib.reporting import charts, score_charts
from stages.lib.training import loop as training

BREEDS = ["Akita", "Borzoi", "Corgi"]
SETTINGS = Transfer(
    steps=6, batch_size=8, class_balance="none", optimizer="adamw", learning_rate=0.01, weight_decay=0.0, dropout=0.0,
    label_smoothing=0.0, validate_every=3, patience=10, dense_units=8,
)  # fmt: skip


def rows(folder: Path, split: str, photos: list[int], copies: int) -> FeatureRows:
    """So many photos of each breed, then their views, in ``folder``; the first feature says which photo a row shows,
    the others which breed.
    """
    names = [
        (f"{split}/{breed}/{number}", breed) for breed, n in zip(BREEDS, photos, strict=True) for number in range(n)
    ]
    shown = names + [name for name in names for _ in range(copies)]
    breeds = [breed for _, breed in shown]
    features = np.eye(3)[[BREEDS.index(breed) for breed in breeds]]
    number = [names.index(name) + (1000 if split == "val" else 0) for name in shown]
    is_view = np.arange(len(shown)) >= len(names)
    np.save(folder / f"{split}.npy", np.column_stack([number, features]).astype(np.float32))
    return FeatureRows(Rows(folder / f"{split}.npy"), breeds, [photo for photo, _ in shown], is_view)


# Which photos are drawn


@pytest.mark.parametrize("seed", range(5))
def test_draws_take_the_same_share_of_each_breed_with_all_views_and_lie_within_each_other(seed):
    photos = np.concatenate([np.arange(51), np.repeat(np.arange(51), 2)])  # each with two views
    labels = np.searchsorted([16, 48], photos, side="right")  # 16, 32 and 3 photos
    draws = list(data_size.draw_photos(photos, labels, np.random.default_rng(seed)))
    counts = [[len(set(photos[rows][labels[rows] == label])) for label in range(3)] for rows in draws]
    assert counts == [[2, 4, 1], [4, 8, 1], [8, 16, 2], [16, 32, 3]]
    for drawn in draws:
        assert (np.bincount(photos[drawn])[np.unique(photos[drawn])] == 3).all(), "a photo or view is missing"
    for smaller, larger in itertools.pairwise(draws):
        assert set(smaller) < set(larger)


def test_another_seed_draws_other_photos():
    photos = np.arange(80)
    first, again, other = (
        next(data_size.draw_photos(photos, photos // 40, np.random.default_rng(seed))).tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


# Trainings


@pytest.fixture
def few_trainings(monkeypatch):
    monkeypatch.setattr(data_size, "REPEATS", 2)
    monkeypatch.setattr(data_size, "SHARES", (0.5, 1.0))


@pytest.mark.usefixtures("few_trainings")
def test_heads_are_trained_on_the_draws_and_steered_and_scored_by_val(monkeypatch, tmp_path):
    train, val = rows(tmp_path, "train", [8, 8, 4], copies=2), rows(tmp_path, "val", [2, 3, 1], copies=0)
    seen = []

    def spy(_head, batches, steering, *_, **__):  # which photos they are does not take the training itself
        inputs = [np.concatenate([x for x, _ in part.as_numpy_iterator()]) for part in (batches, steering)]
        seen.append([set(part[:, 0].astype(int)) for part in inputs])

    monkeypatch.setattr(training, "train", spy)
    quick = SETTINGS.model_copy(update={"steps": 18})  # 144 pictures: each of the 60 is shown
    right, photos = data_size.train_on_sizes(train, val, BREEDS, quick, seed=4)
    assert right.shape == (2, 2, 6)
    assert right.dtype == bool
    assert photos == [10, 20]
    assert [len(trained) for trained, _ in seen] == [10, 20, 10, 20]
    assert seen[0][0] < seen[1][0] == set(range(20))
    assert seen[0][0] != seen[2][0], "another repeat draws other photos"
    assert all(steered == set(range(1000, 1006)) for _, steered in seen)


def test_the_same_seed_gives_the_same_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(data_size, "REPEATS", 1)
    monkeypatch.setattr(data_size, "SHARES", (0.5,))
    train, val = rows(tmp_path, "train", [8, 8, 4], copies=0), rows(tmp_path, "val", [20, 20, 20], copies=0)
    val = val._replace(features=np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32))  # half of it guessed
    first, again = (data_size.train_on_sizes(train, val, BREEDS, SETTINGS, seed=4)[0] for _ in range(2))
    assert first.tolist() == again.tolist()


def test_table_has_a_row_a_draw_and_size_and_its_recalls_make_up_its_accuracy():
    right = np.random.default_rng(0).random((3, len(SHARES), 10)) < 0.7
    val_breeds = ["Akita"] * 5 + ["Borzoi"] * 3 + ["Corgi"] * 2
    table = data_size.tabulate(right, [2, 4, 8, 16], val_breeds)
    assert list(table.columns) == ["repeat", "share", "photos", "accuracy", *(f"recall_{breed}" for breed in BREEDS)]
    assert table["share"].tolist() == list(SHARES) * 3
    assert table["photos"].tolist() == [2, 4, 8, 16] * 3
    assert table["accuracy"].to_numpy() == pytest.approx(right.mean(axis=2).ravel())
    recalls = table[[f"recall_{breed}" for breed in BREEDS]].to_numpy()
    assert recalls @ [0.5, 0.3, 0.2] == pytest.approx(table["accuracy"].to_numpy())


# What it says


@pytest.mark.parametrize("gains", [[1, 1, 1, 1, 1, 0, -1], [1, 1, 1, 1, 1, 1], [-1, 0, -1, 1, -1, -1, -1, -1]])
def test_the_test_of_single_trainings_is_mcnemars(gains):
    up, down = gains.count(1), gains.count(-1)
    assert p_of_gain(np.array(gains, float), seed=0) == pytest.approx(mcnemar([[0, up], [down, 0]], exact=True).pvalue)


@pytest.mark.parametrize("gains", [[1.0], [0.0, 0.0, 0.0], [1.0, -1.0]])
def test_no_gain_and_one_photo_tell_nothing(gains):
    assert p_of_gain(np.array(gains), seed=0) == 1


def test_the_test_of_many_photos_takes_little_memory():
    gains = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 1000)
    tracemalloc.start()
    p_of_gain(gains, seed=0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 * 2**20, "all resamples at once would be 0.6 GB"


def made_up(half: list[float], everything: list[float], photos: int = 40) -> dict:
    """The comparison where, of each breed's ``photos`` in val, such shares are right with half and with all."""
    labels = np.repeat(np.arange(3), photos)
    place = np.tile(np.arange(photos), 3) / photos
    right = np.zeros((3, len(SHARES), len(labels)), bool)
    right[:, :-1] = place < np.array(half)[labels]
    right[:, -1] = place < np.array(everything)[labels]
    return compare_sizes(right, labels, BREEDS, [20, 40, 80, 160], seed=0)


def test_comparison_holds_accuracies_gains_and_p_values():
    found = made_up([0.5, 0.5, 0.5], [0.5, 0.75, 1.0])
    assert found["val_photos"] == 120
    assert [size["photos"] for size in found["sizes"]] == [20, 40, 80, 160]
    assert [size["accuracy"] for size in found["sizes"]] == [0.5, 0.5, 0.5, 0.75]
    assert found["gain"] == 0.25
    assert found["p"] == 2e-4
    assert {breed: row["gain"] for breed, row in found["breeds"].items()} == {"Akita": 0, "Borzoi": 0.25, "Corgi": 0.5}
    assert found["breeds"]["Akita"]["p_holm"] == 1
    assert found["breeds"]["Corgi"]["p_holm"] < found["breeds"]["Borzoi"]["p_holm"] < 0.05
    assert {row["val_photos"] for row in found["breeds"].values()} == {40}


def test_a_breed_without_a_photo_in_val_is_left_out():
    right = np.ones((3, len(SHARES), 4), bool)
    found = compare_sizes(right, np.array([0, 0, 2, 2]), BREEDS, [1, 2, 3, 4], seed=0)
    assert list(found["breeds"]) == ["Akita", "Corgi"]


@pytest.mark.parametrize(
    ("half", "everything", "words"),
    [
        (
            [0.5, 0.5, 0.5],
            [0.5, 0.75, 1.0],
            "More photos would probably help: from half of the training photos to all of them (80 to 160), accuracy on "
            "the 120 photos of val rose by 25.0 points, from 50.0 % to 75.0 % (p ≤ 0.0002). Most for Corgi: its recall "
            "rose by 50.0 points (p = 0.0006).",
        ),
        (
            [0.5, 0.5, 0.5],
            [0.5, 0.55, 0.5],
            "No difference that could be told: from half of the training photos to all of them (80 to 160), accuracy "
            "on the 120 photos of val went from 50.0 % to 51.7 % (p = 0.5). Which breed gains most can't be told: the "
            "largest rise of a recall is that of Borzoi, by 5.0 points on 40 photos, and may be luck (p = 1).",
        ),
        (
            [1.0, 1.0, 1.0],
            [0.75, 0.75, 0.75],
            "More photos like these would hardly help: from half of the training photos to all of them (80 to 160), "
            "accuracy on the 120 photos of val fell by 25.0 points, from 100.0 % to 75.0 % (p ≤ 0.0002). No breed's "
            "recall rose.",
        ),
    ],
    ids=["more help", "nothing told", "more harm"],
)
def test_the_answer_says_what_was_found_and_no_more(half, everything, words):
    assert in_words(made_up(half, everything), confidence_level=0.95) == words


def test_a_higher_confidence_level_takes_more_to_be_told():
    found = made_up([0.5, 0.5, 0.5], [0.6, 0.6, 0.5])
    assert in_words(found, 0.95).startswith("More photos would probably help")
    assert in_words(found, 0.999).startswith("No difference that could be told")


def test_of_many_breeds_the_chart_shows_those_that_rise_most(tmp_path):
    generator = np.random.default_rng(0)
    right = generator.random((3, len(SHARES), 120)) < 0.5
    breeds = [f"breed {number:02}" for number in range(12)]
    val_breeds = [breed for breed in breeds for _ in range(10)]
    right[:, -1, :80] = right[:, -2, :80] = True
    right[:, -2, 40:80] = False  # the breeds from 04 to 07 rise from nothing to all
    right[:, -2, 80:] = True  # and the last ones fall
    figure = score_charts.data_size(data_size.tabulate(right, [5, 11, 22, 44], val_breeds), 120)
    shown = [line.get_label() for line in figure.axes[1].get_lines()]
    assert len(shown) == 8
    assert set(breeds[4:8]) <= set(shown)
    assert not set(breeds[8:]) & set(shown)
    charts.save(figure, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").stat().st_size > 1000
