"""Would more photos help: nested draws, scores on val, and words that claim no more than these."""

import itertools
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from statsmodels.stats.contingency_tables import mcnemar

from stages import data_size
from stages.data_size import SHARES
from stages.lib.datasets.features import PhotoFeatures
from stages.lib.evaluation.data_size import compare_sizes, in_words, p_of_gain, rank_breeds
from stages.lib.probes.linear_probe import linear_probe, out_of_fold
from stages.lib.probes.more_photos import out_of_fold_losses
from stages.lib.reporting import charts, score_charts

BREEDS = ["Akita", "Borzoi", "Corgi"]


def photos_of(split: str, photos: list[int]) -> PhotoFeatures:
    """So many photos of each breed; the first feature says which photo it is, the others which breed, loosely."""
    breeds = np.repeat(BREEDS, photos)
    names = [f"{breed}/{number}.jpg" for number, breed in enumerate(breeds)]
    noise = np.random.default_rng(len(breeds)).normal(scale=0.4, size=(len(breeds), 3))
    number = np.arange(len(breeds)) + (1000 if split == "val" else 0)
    features = np.column_stack([number, np.eye(3)[np.repeat(range(3), photos)] + noise]).astype(np.float32)
    return PhotoFeatures(names, features, breeds, np.arange(len(breeds)))


# Which photos are drawn


@pytest.mark.parametrize("seed", range(5))
def test_draws_take_the_same_share_of_each_breed_and_lie_within_each_other(seed):
    breeds = np.repeat(BREEDS, [16, 32, 3])
    draws = list(data_size.draw_photos(breeds, np.random.default_rng(seed)))
    counts = [[int((breeds[places] == breed).sum()) for breed in BREEDS] for places in draws]
    assert counts == [[2, 4, 1], [4, 8, 1], [8, 16, 2], [16, 32, 3]]
    for smaller, larger in itertools.pairwise(draws):
        assert set(smaller) < set(larger)


def test_another_seed_draws_other_photos():
    breeds = np.repeat(BREEDS[:2], 40)
    first, again, other = (
        next(data_size.draw_photos(breeds, np.random.default_rng(seed))).tolist() for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


# Fits


def test_probes_are_fitted_to_the_draws_and_scored_on_val(monkeypatch):
    monkeypatch.setattr(data_size, "REPEATS", 2)
    monkeypatch.setattr(data_size, "SHARES", (0.5, 1.0))
    train, val = photos_of("train", [8, 8, 4]), photos_of("val", [2, 3, 1])
    fitted, asked = [], []

    class Spy(DummyClassifier):
        def fit(self, features, breeds):
            fitted.append(dict(zip(features[:, 0].astype(int).tolist(), breeds, strict=True)))
            return super().fit(features, breeds)

        def predict(self, features):
            asked.append(set(features[:, 0].astype(int).tolist()))
            return super().predict(features)

    monkeypatch.setattr(data_size, "linear_probe", lambda: Spy(strategy="constant", constant="Borzoi"))
    right, photos = data_size.fit_sizes(train, val, seed=4)
    assert right.tolist() == [[[False] * 2 + [True] * 3 + [False]] * 2] * 2
    assert photos == [10, 20]
    assert [len(each) for each in fitted] == [10, 20, 10, 20]
    assert set(fitted[0]) < set(fitted[1]) == set(range(20))
    assert set(fitted[0]) != set(fitted[2]), "another repeat draws other photos"
    assert fitted[1] == dict(enumerate(train.breeds)), "photos keep their breeds"
    assert all(each == set(range(1000, 1006)) for each in asked)


def test_more_photos_help_where_breeds_are_hard_to_tell_and_the_same_seed_tells_the_same():
    train, val = photos_of("train", [80, 80, 40]), photos_of("val", [60, 60, 60])
    train, val = (each._replace(features=each.features[:, 1:]) for each in (train, val))
    first, again = (data_size.fit_sizes(train, val, seed=4)[0] for _ in range(2))
    assert first.tolist() == again.tolist()
    accuracy = first.mean(axis=(0, 2))
    assert accuracy[0] < accuracy[-1]
    assert accuracy[-1] > 0.9


def test_table_has_a_row_a_draw_and_size_and_its_recalls_make_up_its_accuracy():
    right = np.random.default_rng(0).random((3, len(SHARES), 10)) < 0.7
    val_breeds = np.repeat(BREEDS, [5, 3, 2])
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


def made_up(half: float, everything: float) -> dict:
    """The comparison where such shares of val's 120 photos are right with half of the photos and with all."""
    place = np.arange(120) / 120
    right = np.zeros((3, len(SHARES), 120), bool)
    right[:, :-1] = place < half
    right[:, -1] = place < everything
    return compare_sizes(right, [20, 40, 80, 160], seed=0)


def test_comparison_holds_accuracies_the_gain_and_its_p_value():
    sizes = [
        {"photos": photos, "accuracy": accuracy, "accuracy_sd": 0.0}
        for photos, accuracy in ((20, 0.5), (40, 0.5), (80, 0.5), (160, 0.75))
    ]
    found = made_up(0.5, 0.75)
    assert found == {"val_photos": 120, "sizes": sizes, "gain": 0.25, "p": 2e-4}


BEGIN = (
    " If you can't add photos of all breeds, begin with Corgi, which has the highest log loss for its number of photos."
)
OF_ALL = (
    " Add photos of all breeds, which have about as many: more of a few alone helped those and harmed the others "
    "where it was tried."
)


def ranking(*photos: int) -> pd.DataFrame:
    return pd.DataFrame({"breed": ["Corgi", "Akita", "Borzoi"], "photos": photos})


@pytest.mark.parametrize(
    ("found", "ranked", "words"),
    [
        (
            made_up(0.5, 0.75),
            ranking(5, 10, 7),
            "More photos would probably help: from half of the training photos to all of them (80 to 160), accuracy on "
            "the 120 photos of val rose by 25.0 points, from 50.0 % to 75.0 % (p ≤ 0.0002)." + BEGIN,
        ),
        (
            made_up(0.5, 0.51),
            ranking(6, 10, 11),
            "No difference that could be told: from half of the training photos to all of them (80 to 160), accuracy "
            "on the 120 photos of val went from 50.0 % to 51.7 % (p = 0.5)." + OF_ALL,
        ),
        (
            made_up(1.0, 0.75),
            ranking(8, 8, 8),
            "More photos like these would hardly help: from half of the training photos to all of them (80 to 160), "
            "accuracy on the 120 photos of val fell by 25.0 points, from 100.0 % to 75.0 % (p ≤ 0.0002)." + OF_ALL,
        ),
    ],
    ids=["more help", "nothing told", "more harm"],
)
def test_the_answer_says_what_was_found_and_no_more(found, ranked, words):
    assert in_words(found, ranked, confidence_level=0.95) == words


def test_a_higher_confidence_level_takes_more_to_be_told():
    found = made_up(0.5, 0.57)
    assert in_words(found, ranking(8, 8, 8), 0.95).startswith("More photos would probably help")
    assert in_words(found, ranking(8, 8, 8), 0.999).startswith("No difference that could be told")


# Of which breed


def test_losses_are_those_of_probes_that_saw_neither_the_photo_nor_its_near_duplicates():
    generator = np.random.default_rng(2)
    noise = generator.normal(size=(45, 200)).astype(np.float32)  # says nothing of the labels
    twins, drawn = np.repeat(noise, 2, axis=0), np.repeat(np.arange(45) % 3, 2)
    apart = out_of_fold_losses(twins, drawn, np.arange(90), seed=1)
    together = out_of_fold_losses(twins, drawn, np.repeat(np.arange(45), 2), seed=1)
    assert apart.mean() < np.log(3) < together.mean(), "who knows nothing and says so loses the logarithm of 3"
    again = out_of_fold_losses(twins, drawn, np.arange(90), seed=1)
    assert np.array_equal(apart, again)
    assert not np.array_equal(apart, out_of_fold_losses(twins, drawn, np.arange(90), seed=2))


@pytest.mark.filterwarnings("error")
def test_a_breed_of_two_photos_has_losses_too():
    labels = np.repeat([0, 1, 2], [30, 30, 2])
    features = np.random.default_rng(0).normal(size=(62, 8)) + 2 * np.eye(8)[labels]
    losses = out_of_fold_losses(features.astype(np.float32), labels, np.arange(62), seed=1)
    assert losses.shape == (62,)
    assert losses[labels == 2].min() > losses[labels < 2].mean()


def test_the_stage_lists_the_loss_on_each_photo_of_train_and_val():
    train, val = photos_of("train", [8, 8, 6]), photos_of("val", [2, 3, 2])
    table = data_size.tabulate_losses(train, val, seed=1)
    assert table[["photo", "breed"]].to_numpy().tolist() == [
        [photo, breed] for each in (train, val) for photo, breed in zip(each.photos, each.breeds, strict=True)
    ]
    assert table["log_loss"].between(0, 14).all()


def losses_of(**losses: list[float]) -> pd.DataFrame:
    rows = [(breed, loss) for breed, of_breed in losses.items() for loss in of_breed]
    return pd.DataFrame(rows, columns=["breed", "log_loss"])


def test_breeds_are_ranked_by_their_loss_and_by_how_few_photos_they_have():
    ranked = rank_breeds(
        losses_of(Akita=[0.5, 0.7], Borzoi=[1.0, 0.5, 1.5, 1.0], Corgi=[3.0, 1.0, 2.0], Dhole=[0.6] * 2)
    )
    assert list(ranked.columns) == ["breed", "photos", "log_loss", "standard_error", "loss_per_photo"]
    assert ranked["breed"].tolist() == ["Corgi", "Akita", "Dhole", "Borzoi"]
    assert ranked["photos"].tolist() == [3, 2, 2, 4]
    assert ranked["log_loss"].to_numpy() == pytest.approx([2.0, 0.6, 0.6, 1.0])
    assert ranked["standard_error"].to_numpy() == pytest.approx([3**-0.5, 0.1, 0.0, 6**-0.5 / 2])
    assert ranked["loss_per_photo"].to_numpy() == pytest.approx([2 / 3, 0.3, 0.3, 0.25])


def test_a_fold_beside_which_only_one_breed_is_left_says_that_breed():
    groups = np.array([0] * 6 + [1] * 3)  # near duplicates across breeds leave no fold with both beside it
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1])
    features = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    found = out_of_fold(linear_probe(), features, labels, groups, folds=2, seed=1)
    assert found[groups == 0].tolist() == [[0, 1]] * 6
    assert found.sum(axis=1) == pytest.approx(np.ones(9))


def test_of_many_breeds_the_chart_shows_those_that_rise_most(tmp_path):
    generator = np.random.default_rng(0)
    right = generator.random((3, len(SHARES), 120)) < 0.5
    breeds = [f"breed {number:02}" for number in range(12)]
    val_breeds = np.repeat(breeds, 10)
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
