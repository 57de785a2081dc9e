"""Labels that were swapped on purpose are found, and near duplicates do not vouch for each other."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pipeline_fixtures import write_shown

from stages import label_errors
from stages.lib.datasets.features import read_photos
from stages.lib.probes.label_errors import COLUMNS, can_be_judged, find_suspicious, out_of_fold_probabilities

BREEDS = ["Akita", "Borzoi", "Corgi"]
NO_FIX = {"label_fix": ""}
UNDECIDED = np.zeros(90, bool)
TRAINED = (0, 1, 2, 4, 5, 6)  # of the first eight photos of a breed


@pytest.fixture
def photos():
    """Features of 90 photos of three breeds that are easily told apart, and their true labels."""
    labels = np.repeat([0, 1, 2], 30)
    features = np.random.default_rng(0).normal(size=(90, 8)) + 5 * np.eye(8)[labels]
    return features.astype(np.float32), labels


def named(labels: np.ndarray) -> pd.DataFrame:
    names = [f"{BREEDS[label]}/{number:02}.jpg" for number, label in enumerate(labels)]
    return pd.DataFrame({"photo": names, "split": "train", "labelled": np.array(BREEDS)[labels]})


def test_swapped_labels_are_found_and_no_other(photos):
    features, labels = photos
    given = labels.copy()
    given[[3, 40, 77]] = [2, 0, 1]
    table = named(given)
    found = find_suspicious(table, out_of_fold_probabilities(features, given, np.arange(90), seed=1), BREEDS, UNDECIDED)
    assert list(found.columns) == COLUMNS
    assert sorted(found["photo"]) == sorted(table["photo"].iloc[[3, 40, 77]])
    assert found.set_index("photo").loc[table["photo"].iloc[[3, 40, 77]], "suggested"].tolist() == [
        "Akita",
        "Borzoi",
        "Corgi",
    ]
    assert (found["quality"] - found["suggested_probability"]).is_monotonic_increasing
    assert (found["suggested_probability"] > found["quality"]).all()


def test_a_label_that_a_person_decided_about_is_suspicious_no_more(photos):
    features, labels = photos
    given = labels.copy()
    given[[3, 40, 77]] = [2, 0, 1]
    probabilities = out_of_fold_probabilities(features, given, np.arange(90), seed=1)
    found = find_suspicious(named(given), probabilities, BREEDS, np.isin(np.arange(90), [3, 77]))
    assert found["photo"].tolist() == ["Akita/40.jpg"]


def test_where_no_label_is_wrong_the_table_is_empty(photos):
    features, labels = photos
    probabilities = out_of_fold_probabilities(features, labels, np.arange(90), seed=1)
    found = find_suspicious(named(labels), probabilities, BREEDS, UNDECIDED)
    assert found.empty
    assert list(found.columns) == COLUMNS


def test_no_photo_is_judged_by_a_model_that_saw_it_or_its_near_duplicates():
    generator = np.random.default_rng(2)
    noise = generator.normal(size=(45, 200)).astype(np.float32)  # says nothing of the labels
    twins, drawn = np.repeat(noise, 2, axis=0), np.repeat(generator.integers(0, 3, 45), 2)
    groups = np.repeat(np.arange(45), 2)
    apart = out_of_fold_probabilities(twins, drawn, np.arange(90), seed=1).argmax(axis=1)
    together = out_of_fold_probabilities(twins, drawn, groups, seed=1).argmax(axis=1)
    assert (together == drawn).mean() < 0.5 < (apart == drawn).mean()


def test_probabilities_are_the_same_each_time(photos):
    features, labels = photos
    first, again = (out_of_fold_probabilities(features, labels, np.arange(90), seed=1) for _ in range(2))
    assert np.array_equal(first, again)


def test_a_breed_with_fewer_groups_than_folds_cannot_be_judged():
    labels = np.repeat([0, 1], [10, 6])
    assert can_be_judged(labels, np.arange(16))
    assert not can_be_judged(labels, np.array([*range(10), 10, 10, 11, 12, 13, 13]))


# The stage


@pytest.fixture
def checkout(tmp_path):
    """What prepare and features leave behind of so many photos a breed, two of them with each other's label."""

    def made(photos: int = 24) -> Path:
        generator = np.random.default_rng(0)
        rows, features = [], {"train": [], "val": []}
        for label, breed in enumerate(BREEDS):
            for number in range(photos):
                split = "val" if number % 4 == 3 else "train"
                row = {"file": f"{breed}/{number:02}.jpg", "breed": breed, "split": split, "group": len(rows)}
                rows.append(row | NO_FIX)
                true = {("Akita", 5): 1, ("Borzoi", 7): 0}.get((breed, number), label)
                features[split].append(generator.normal(size=8) + 5 * np.eye(8)[true])
        groups = {row["file"]: row["group"] for row in rows}
        rows.append({"file": "Akita/tested.jpg", "breed": "Akita", "split": "test", "group": len(rows)} | NO_FIX)
        folder = tmp_path / "data/features/VGG16/plain"
        folder.mkdir(parents=True)
        for split, of_split in features.items():
            names = sorted(row["file"] for row in rows if row["split"] == split)
            write_shown(folder, split, names, [groups[name] for name in names])
            np.save(folder / f"{split}.npy", np.array(of_split, np.float32))
        (tmp_path / "data/prepared").mkdir()
        pd.DataFrame(rows).to_csv(tmp_path / "data/prepared/manifest.csv", index=False)
        return tmp_path

    return made


def test_the_stage_lists_photos_of_train_and_val_that_look_like_another_breed(checkout, write_params, run_stage):
    folder = checkout()
    write_params(folder / "params.yaml", main_backbone="VGG16")
    assert run_stage(label_errors.main, folder) == 0
    found = pd.read_csv(folder / "plots/suspicious_labels.csv")
    assert list(found.columns) == COLUMNS
    assert sorted(found[["photo", "split", "labelled", "suggested"]].to_numpy().tolist()) == [
        ["Akita/05.jpg", "train", "Akita", "Borzoi"],
        ["Borzoi/07.jpg", "val", "Borzoi", "Akita"],
    ]
    assert json.loads((folder / "metrics/label_errors.json").read_text()) == {
        "judged": True, "folds": 5, "photos": 72, "suspicious": 2, "decided": 0,
    }  # fmt: skip


def test_the_stage_leaves_out_what_a_person_kept(checkout, write_params, run_stage):
    folder = checkout()
    write_params(folder / "params.yaml", main_backbone="VGG16")
    listed = pd.read_csv(folder / "data/prepared/manifest.csv", keep_default_na=False)
    listed.loc[listed["file"] == "Borzoi/07.jpg", "label_fix"] = "keep"
    listed.to_csv(folder / "data/prepared/manifest.csv", index=False)
    assert run_stage(label_errors.main, folder) == 0
    assert pd.read_csv(folder / "plots/suspicious_labels.csv")["photo"].tolist() == ["Akita/05.jpg"]
    assert json.loads((folder / "metrics/label_errors.json").read_text()) == {
        "judged": True, "folds": 5, "photos": 72, "suspicious": 1, "decided": 1,
    }  # fmt: skip


def test_the_stage_judges_no_label_where_a_breed_has_too_few_photos(checkout, write_params, run_stage):
    folder = checkout(photos=4)
    write_params(folder / "params.yaml", main_backbone="VGG16")
    assert run_stage(label_errors.main, folder) == 0
    assert (folder / "plots/suspicious_labels.csv").read_text() == f"{','.join(COLUMNS)}\n"
    assert json.loads((folder / "metrics/label_errors.json").read_text()) == {
        "judged": False, "folds": 5, "photos": 12, "suspicious": 0, "decided": 0,
    }  # fmt: skip


def test_photos_are_read_with_their_groups_and_without_views(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("data/features/VGG16/augmented")
    folder.mkdir(parents=True)
    photos, rows = ["Akita/1.jpg", "Borzoi/None"], np.arange(8, dtype=np.float32).reshape(4, 2)
    write_shown(folder, "train", photos, groups=[7, 7], views=[photos[1], photos[0]])
    np.save(folder / "train.npy", rows)
    found = read_photos("VGG16", "augmented", "train")
    assert found.photos == photos
    assert found.breeds.tolist() == ["Akita", "Borzoi"]
    assert found.groups.tolist() == [7, 7]
    np.testing.assert_array_equal(found.features, rows[:2])


def test_the_stage_without_features_tells_what_to_run_first(tmp_path, write_params, run_stage, capsys):
    write_params(tmp_path / "params.yaml", main_backbone="VGG16")
    assert run_stage(label_errors.main, tmp_path) == 1
    assert (
        capsys.readouterr().err
        == "error: data/features/VGG16/plain is not here: run `dvc repro features view_features` first.\n"
    )
