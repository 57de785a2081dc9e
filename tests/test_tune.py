"""Tuning: folds that keep together what belongs together, the same trials each time, and no look at test."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from pipeline_fixtures import ROOT, is_within, read_records, recording, write_shown

from stages import tune
from stages.lib.core.errors import UserError, run
from stages.lib.core.params import load_params
from stages.lib.training import loop as training
from stages.lib.tuning.folds import assign_folds, compare, cross_validate, read_pictures, split_folds
from stages.lib.tuning.space import SPACE
from stages.lib.tuning.study import name_study
from stages.lib.tuning.tables import SHOWN

BACKBONE = "VGG16"
BREEDS = ["Akita", "Borzoi", "Corgi"]
PHOTOS = {"train": 8, "val": 4, "test": 3}  # of each breed
COPIES = 2
QUICK = {
    "main_backbone": BACKBONE,
    "transfer.steps": 6,
    "transfer.validate_every": 3,
    "transfer.batch_size": 8,
}
COLUMNS = ["trial", "folds", "state", "log_loss", "log_loss_sd", "accuracy", "accuracy_sd", *SPACE]


@pytest.fixture
def checkout(tmp_path, write_params, monkeypatch):
    """What prepare, augment and features leave behind, tiny: the first feature of a picture is its photo's number.

    Every photo of val is a near duplicate of the photo of train with its number.
    """
    write_params(tmp_path / "params.yaml", precision="float32", seed=3, **QUICK)
    generator = np.random.default_rng(0)
    rows, views, features = [], [], {}
    for split, count in PHOTOS.items():
        for breed, name in enumerate(BREEDS):
            for number in range(count):
                file = f"{name}/{split}{number}.jpg"
                group = len(BREEDS) * number + breed if split != "test" else 1000 + len(rows)
                rows.append({"file": file, "breed": name, "split": split, "group": group})
                vector = np.concatenate([[len(rows)], np.eye(3)[breed] + generator.normal(0, 1.5, 3)])
                features[f"{split}/{file}.png"] = vector
                for copy in range(COPIES if split == "train" else 0):
                    view = f"{file}.{copy}.jpg"
                    views.append({"view": view, "photo": file})
                    features[view] = vector
    (tmp_path / "data/prepared").mkdir(parents=True)
    pd.DataFrame(rows).to_csv(tmp_path / "data/prepared/manifest.csv", index=False)
    groups = {row["file"]: row["group"] for row in rows}
    views = pd.DataFrame(views)
    for variant, of_variant in (("augmented", views), ("plain", views.head(0))):
        folder = tmp_path / "data/features" / BACKBONE / variant
        folder.mkdir(parents=True)
        names = {split: sorted(name for name in features if name.startswith(f"{split}/")) for split in PHOTOS}
        names["train"] += sorted(of_variant["view"])
        for split in ("train", "val"):
            np.save(folder / f"{split}.npy", np.array([features[name] for name in names[split]], np.float32))
            photos = [
                name.removeprefix(f"{split}/").removesuffix(".png") for name in names[split] if name.endswith(".png")
            ]
            shown = of_variant.sort_values("view")["photo"].tolist() if split == "train" else []
            write_shown(folder, split, photos, [groups[photo] for photo in photos], shown)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tuned(capsys, monkeypatch):
    """`python -m stages.tune`, run in this process: its exit code, what it printed and what it complained of."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tune", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            run(tune.main)
        return ended.value.code, *capsys.readouterr()

    yield call
    keras.config.set_dtype_policy("float32")


def fold_of(pictures, folds=4, seed=0):
    return assign_folds(pictures, folds, seed)


# Which picture is which


@pytest.mark.parametrize(("variant", "copies"), [("augmented", COPIES), ("plain", 0)])
@pytest.mark.usefixtures("checkout")
def test_each_row_of_the_features_is_known_by_the_photo_that_it_shows(variant, copies):
    pictures = read_pictures(BACKBONE, variant)
    train, val = (len(BREEDS) * PHOTOS[split] for split in ("train", "val"))
    assert len(pictures.photos) == train * (1 + copies) + val
    assert pictures.views.sum() == train * copies
    assert (pictures.photos == pictures.features[:, 0] - 1).all()
    assert np.bincount(pictures.photos).tolist() == [1 + copies] * train + [1] * val
    manifest = pd.read_csv("data/prepared/manifest.csv")
    assert [BREEDS[label] for label in pictures.labels] == manifest["breed"].iloc[pictures.photos].tolist()
    assert (pictures.groups == manifest["group"][: train + val]).all()


# Folds


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.usefixtures("checkout")
def test_no_photo_is_on_two_sides_of_a_fold_nor_its_views_nor_a_near_duplicate(seed):
    pictures = read_pictures(BACKBONE, "augmented")
    for parts in split_folds(pictures, fold_of(pictures, seed=seed)):
        groups = [set(pictures.groups[pictures.photos[part]]) for part in parts]
        assert all(groups)
        assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]


@pytest.mark.usefixtures("checkout")
def test_each_photo_is_scored_once_and_steers_once_and_views_do_neither():
    pictures = read_pictures(BACKBONE, "augmented")
    trained, steered, scored = zip(*split_folds(pictures, fold_of(pictures)), strict=True)
    photos = np.flatnonzero(~pictures.views).tolist()
    assert sorted(np.concatenate(scored)) == photos
    assert sorted(np.concatenate(steered)) == photos
    counts = np.bincount(np.concatenate(trained), minlength=len(pictures.photos))
    assert set(counts) == {2}  # of 4 folds: a view as often as its photo
    for train, steer, score in zip(trained, steered, scored, strict=True):
        alone = set(pictures.photos[np.concatenate([steer, score])])
        assert set(pictures.photos[train]) == set(pictures.photos) - alone


@pytest.mark.usefixtures("checkout")
def test_each_fold_has_every_breed():
    pictures = read_pictures(BACKBONE, "augmented")
    fold = fold_of(pictures)
    assert all(set(pictures.labels[fold == number]) == {0, 1, 2} for number in range(4))


@pytest.mark.usefixtures("checkout")
def test_more_folds_than_a_breed_has_photos_without_near_duplicates_are_refused(tuned):
    code, _, complaint = tuned("transfer", "--folds", 9)
    assert code == 1
    assert complaint.startswith("error: --folds must be at most 8")


@pytest.mark.usefixtures("checkout")
def test_a_head_is_trained_and_steered_by_none_of_the_photos_that_it_is_scored_on(monkeypatch):
    pictures, params = read_pictures(BACKBONE, "augmented"), load_params()
    seen = []

    def spy(_head, batches, steering, *_, **__):  # which photos they are does not take the training itself
        inputs = [np.concatenate([x for x, _ in part.as_numpy_iterator()]) for part in (batches, steering)]
        seen.append([set(part[:, 0].astype(int) - 1) for part in inputs])  # the photos' numbers

    monkeypatch.setattr(training, "train", spy)
    fold = fold_of(pictures)
    assert len(list(cross_validate(pictures, fold, params.transfer, params.seed))) == 4
    for (trained, steered), parts in zip(seen, split_folds(pictures, fold), strict=True):
        allowed, steering, scored = (set(pictures.photos[part]) for part in parts)
        assert trained <= allowed
        assert steered == steering
        assert not (trained | steered) & scored


@pytest.mark.usefixtures("checkout")
def test_a_fold_has_the_scores_of_the_head_that_is_trained_for_it_without_a_bar_of_its_own(monkeypatch, capsys):
    pictures, params = read_pictures(BACKBONE, "augmented"), load_params()
    original, heads = training.train, []

    def spy(head, *arguments, **options):
        heads.append(head)
        return original(head, *arguments, **options)

    monkeypatch.setattr(training, "train", spy)
    fold = fold_of(pictures, 3)
    parts = split_folds(pictures, fold)
    for (_, _, scored), (loss, accuracy) in zip(
        parts, cross_validate(pictures, fold, params.transfer, params.seed), strict=True
    ):
        probabilities, labels = heads[-1].predict(pictures.features[scored], verbose=0), pictures.labels[scored]
        assert loss == pytest.approx(-np.log(probabilities[np.arange(len(labels)), labels]).mean(), rel=1e-5)
        assert accuracy == (probabilities.argmax(axis=1) == labels).mean()
    assert "picture" not in capsys.readouterr().err


# Trials, with made-up scores in place of trainings


@pytest.fixture
def scores(monkeypatch):
    """Scores made up from the settings, and a dict of what is to happen at the how-many-eth fold."""
    events, folds = {}, []

    def make_up(_pictures, fold, settings, _seed):
        for number in range(fold.max() + 1):
            folds.append(settings)
            if len(folds) in events:
                raise events[len(folds)]
            loss = abs(np.log10(settings.learning_rate) + 2.5) + settings.dropout + number / 10
            yield loss, 1 - loss / 10

    for module in ("study", "folds"):
        monkeypatch.setattr(f"stages.lib.tuning.{module}.cross_validate", make_up)
    return events


def read_trials(file="tuning/transfer_augmented.csv"):
    return pd.read_csv(file)


@pytest.mark.usefixtures("scores")
def test_the_first_trial_is_what_params_yaml_says_and_the_others_are_within_the_ranges(checkout, tuned, write_params):
    settings = {"dropout": 0.9, "weight_decay": 0.01234, "learning_rate": 0.05}
    changes = {f"transfer.{name}": value for name, value in settings.items()}
    write_params(checkout / "params.yaml", precision="float32", **QUICK | changes)
    assert tuned("transfer", "--trials", 8)[0] == 0
    trials = read_trials()
    assert list(trials.columns) == COLUMNS
    assert trials["trial"].tolist() == list(range(8))
    first = {"steps": 6, "label_smoothing": 0.0, **settings}  # beyond the ranges, which then reach so far
    assert trials.loc[0, list(first)].to_dict() == first
    for name, (low, high, _) in SPACE.items():
        assert trials[name].between(min(low, first[name]), max(high, first[name])).all()
        assert trials[name].nunique() > 1


@pytest.mark.usefixtures("scores")
def test_the_trials_of_a_seed_are_the_same_however_often_one_stops_between_them(checkout, tuned, write_params):
    for csv, counts in (("once.csv", [13]), ("stopped.csv", [1, 3, 13])):
        for count in counts:
            assert tuned("transfer", "--trials", count, "--csv", csv)[0] == 0
            assert len(read_trials(csv)) == count
        (checkout / "tuning/optuna.db").unlink()
    once = (checkout / "once.csv").read_bytes()
    assert (checkout / "stopped.csv").read_bytes() == once
    write_params(checkout / "params.yaml", precision="float32", seed=4, **QUICK)
    assert tuned("transfer", "--trials", 3, "--csv", "other.csv", "--repeats", 0)[0] == 0
    assert not once.startswith((checkout / "other.csv").read_bytes())


def test_stopped_within_a_trial_it_tells_what_is_kept_and_goes_on_to_the_same_trials(checkout, tuned, scores):
    assert tuned("transfer", "--trials", 4, "--csv", "once.csv", "--repeats", 0)[0] == 0
    (checkout / "tuning/optuna.db").unlink()
    scores |= {22: KeyboardInterrupt(), 35: KeyboardInterrupt()}  # in the second fold of the first; of the third
    for kept in (0, 2):
        code, _, complaint = tuned("transfer", "--trials", 4, "--csv", "stopped.csv", "--repeats", 0)
        assert code == 130
        assert f"stopped: {kept} trials are kept in tuning" in complaint
    assert tuned("transfer", "--trials", 4, "--csv", "stopped.csv", "--repeats", 0)[0] == 0
    assert (checkout / "stopped.csv").read_bytes() == (checkout / "once.csv").read_bytes()


@pytest.mark.usefixtures("checkout", "scores")
def test_with_more_trials_it_finds_lower_losses_and_gives_up_those_that_fall_behind(tuned):
    assert tuned("transfer", "--trials", 25)[0] == 0
    trials = read_trials()
    early, late = trials["log_loss"][1:11], trials["log_loss"][11:]
    assert late.median() < early.median()
    assert set(trials["state"]) == {"complete", "pruned"}
    assert (trials.loc[trials["state"] == "complete", "folds"] == 5).all()
    assert trials.loc[trials["state"] == "pruned", "folds"].between(2, 4).all()
    assert trials["log_loss"].idxmin() == trials[trials["state"] == "complete"]["log_loss"].idxmin()


@pytest.mark.usefixtures("checkout")
def test_a_trial_that_diverges_is_given_up_and_the_others_go_on(tuned, scores):
    scores[6] = UserError("tune diverged")
    code, printed, _ = tuned("transfer", "--trials", 3)
    assert code == 0
    assert "3 trials, 1 of them given up" in printed
    assert read_trials()["state"].tolist() == ["complete", "pruned", "complete"]


@pytest.mark.usefixtures("checkout")
def test_where_params_yaml_itself_diverges_it_says_so(tuned, scores):
    scores[1] = UserError("tune diverged: its loss is no finite number any more. Lower its learning_rate.")
    code, _, complaint = tuned("transfer", "--trials", 3)
    assert code == 1
    assert complaint.splitlines()[-1] == f"error: {scores[1]}"


@pytest.mark.usefixtures("checkout", "scores")
def test_with_no_time_left_no_trial_begins(tuned):
    assert tuned("transfer", "--trials", 1)[0] == 0
    code, printed, _ = tuned("transfer", "--trials", 50, "--timeout", 0)
    assert code == 0
    assert "1 trials" in printed


@pytest.mark.usefixtures("checkout")
def test_only_trials_that_can_be_compared_are_in_one_study():
    pictures, params = read_pictures(BACKBONE, "augmented"), load_params()
    fold = fold_of(pictures)
    other_features = pictures._replace(features=pictures.features + 1)
    other_transfer = params.transfer.model_copy(update={"patience": 3})
    names = [
        name_study(pictures, fold, params, "float32"),
        name_study(other_features, fold, params, "float32"),
        name_study(pictures, fold_of(pictures, seed=1), params, "float32"),
        name_study(pictures, fold, params.model_copy(update={"seed": 9}), "float32"),
        name_study(pictures, fold, params.model_copy(update={"transfer": other_transfer}), "float32"),
        name_study(pictures, fold, params, "mixed_bfloat16"),
    ]
    assert len(set(names)) == len(names)
    assert name_study(read_pictures(BACKBONE, "augmented"), fold_of(pictures), load_params(), "float32") == names[0]


# What it says


def best_line(printed):
    (line,) = [line for line in printed.splitlines() if line.startswith("  dvc exp run -S transfer.")]
    pairs = [argument.split("=") for argument in line.removeprefix("  dvc exp run -S ").split(" -S ")]
    return {name.removeprefix("transfer."): float(value) for name, value in pairs}


@pytest.mark.usefixtures("checkout", "scores")
def test_it_prints_the_best_trials_and_the_very_best_as_dvc_takes_it(tuned):
    code, printed, _ = tuned("transfer", "--trials", 15)
    assert code == 0
    trials = read_trials()
    best = trials.loc[trials["log_loss"].idxmin()]
    assert best_line(printed) == best[list(SPACE)].to_dict()
    table = [line.split() for line in printed.splitlines() if line.count(" ± ") == 2]
    complete = trials[trials["state"] == "complete"].sort_values("log_loss")[:SHOWN]
    expected = [*complete["trial"].astype(str), *([] if 0 in complete["trial"] else ["0"])]
    assert [row[0].replace("defaults", "0") for row in table] == expected
    assert [row[1] for row in table] == [f"{trials.loc[int(trial), 'log_loss']:.4f}" for trial in expected]
    assert f"in these folds: log loss {best['log_loss']:.4f}, {trials.loc[0, 'log_loss']:.4f} with the def" in printed
    assert "lower in 15 of 15" in printed  # 3 other foldings


@pytest.mark.usefixtures("checkout", "scores")
def test_where_nothing_does_better_than_the_defaults_it_says_so(tuned):
    code, printed, _ = tuned("transfer", "--trials", 1)
    assert code == 0
    assert printed.splitlines()[-1] == "Nothing did better than params.yaml."


@pytest.mark.usefixtures("checkout", "scores")
def test_a_gain_that_does_not_hold_in_other_folds_is_called_luck(tuned, monkeypatch):
    monkeypatch.setattr(tune, "compare", lambda *_: np.full((2, 15, 2), 0.5))
    code, printed, _ = tuned("transfer", "--trials", 15)
    assert code == 0
    assert "in other folds: log loss 0.5000, 0.5000 with the defaults; lower in 0 of 15" in printed
    assert "keep the defaults" in printed
    assert "dvc exp run" not in printed


@pytest.mark.usefixtures("checkout")
def test_settings_are_compared_on_the_same_folds_but_not_those_of_the_trials(monkeypatch):
    pictures, params = read_pictures(BACKBONE, "augmented"), load_params()
    other = params.transfer.model_copy(update={"dropout": 0.4})
    seen = []

    def spy(_pictures, fold, settings, seed):
        seen.append((fold.tolist(), settings, seed))
        yield from [(0.1 * len(seen), 0.9)] * 3

    monkeypatch.setattr("stages.lib.tuning.folds.cross_validate", spy)
    scores = compare(pictures, [params.transfer, other], folds=3, repeats=2, seed=params.seed)
    assert scores[..., 0] == pytest.approx(np.array([[0.1] * 3 + [0.3] * 3, [0.2] * 3 + [0.4] * 3]))
    used = [fold for fold, _, _ in seen]
    assert used[0] == used[1] and used[2] == used[3]
    own = assign_folds(pictures, 3, params.seed).tolist()
    assert used[0] != used[2] and own not in used
    assert [settings for _, settings, _ in seen] == [params.transfer, other] * 2
    assert [seed for _, _, seed in seen] == [4, 4, 5, 5]


# What it reads


def test_without_features_it_says_how_to_make_them(checkout, tuned):
    path = f"data/features/{BACKBONE}/augmented"
    (checkout / path).rename(checkout / "elsewhere")
    code, _, complaint = tuned("transfer")
    assert code == 1
    assert complaint == f"error: {path} is not here: run `dvc repro features view_features` first.\n"


@pytest.mark.parametrize("model", ["finetune", "train_scratch"])
@pytest.mark.usefixtures("checkout")
def test_of_another_model_it_says_how_to_try_settings(tuned, model):
    code, _, complaint = tuned(model)
    assert code == 1
    assert complaint.startswith("error: only transfer can be tuned so far")
    assert f"-S '{model}.dropout=choice(0.2,0.5)'" in complaint


def test_a_file_that_is_none_of_optunas_is_named(checkout, tuned):
    (checkout / "tuning").mkdir()
    (checkout / "tuning/optuna.db").write_bytes(b"no database" * 100)
    code, _, complaint = tuned("transfer")
    assert code == 1
    assert complaint.startswith("error: tuning/optuna.db is no file of Optuna's")


def test_it_opens_no_test_photo_and_writes_nothing_that_a_stage_owns(checkout):
    records = checkout / "records"
    records.mkdir()
    environment = {**os.environ, **recording(records), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["PYTHONPATH"] += os.pathsep + str(ROOT)
    command = [sys.executable, "-m", "stages.tune", "transfer", "--trials", "1", "--folds", "3"]
    subprocess.run(command, cwd=checkout, env=environment, check=True, capture_output=True, timeout=300)
    (record,) = read_records(records).values()

    def of_ours(paths):
        return {str(Path(path).relative_to(checkout)) for path in paths if Path(path).is_relative_to(checkout)}

    read, written = of_ours(record["read"]), of_ours(record["written"])
    assert {path for path in read if is_within(path, ["data", "models", "metrics", "plots"])} == {
        f"data/features/{BACKBONE}/augmented/{split}.{kind}" for split in ("train", "val") for kind in ("csv", "npy")
    }
    assert {path.removesuffix(".partial") for path in written if not is_within(path, ["records"])} <= {
        "tuning/optuna.db", "tuning/optuna.db-journal", "tuning/transfer_augmented.csv",
    }  # fmt: skip
