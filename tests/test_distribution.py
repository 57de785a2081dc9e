"""Two devices train what one does: logical processors stand in for the GPUs that this was never tried on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import yaml
from small_classifiers import assert_close
from tiny_pipeline import BACKBONE, FINETUNE, draw_photos, tiny_params
from two_devices import CASES, SETTINGS

from stages import augment, features, prepare, transfer
from stages.lib.core.models import transfer_model
from stages.lib.datasets.batches import shares_of_devices
from stages.lib.datasets.pictures import find_pictures, read_picture
from stages.lib.networks.model_files import load_classifier
from stages.lib.training.devices import all_devices, devices_for
from stages.sources import bundled_weights

ROOT = Path(__file__).resolve().parent.parent
TRANSFERRED = transfer_model(BACKBONE, "augmented")
# That train until the moving averages of batch norm have gathered
GATHERED = [case for case in CASES if case != "scratch"]
# In batch norm over 16 pictures rounding grows: after 40 steps to 5e-5 of the loss on one processor, 2e-3 on another
ALIKE = [case for case in CASES if case not in ("scratch, dropout", "scratch, longer")]
LOSS = 5e-5  # largest difference between the losses of one device and two, relative
# Between their weights, as a share of the largest one of the same array. AdamW makes steps of one size out of gradients
# of any: where one is nothing but rounding, so is the step. Batch norm leaves many such, in the CNN.
WEIGHTS = {"scratch": 2e-2}
WEIGHTS_ELSE = 1e-4
ACCURACY, RATE = [2, 4], 5  # columns of the history
LOSSES = [1, 3]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What `two_devices` left of its cases, and what it printed; a table of them with `pytest -s`."""
    folder = tmp_path_factory.mktemp("devices")
    done = subprocess.run(
        [sys.executable, ROOT / "tests/two_devices.py"],
        cwd=folder, capture_output=True, text=True, timeout=1800, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    print("\n| network | difference of loss | of weights | seconds a step, 1 device | 2 devices |")
    for case in CASES:
        one, two = (read(folder, case, devices) for devices in (1, 2))
        rows = min(len(one["history"]), len(two["history"]))
        loss = relative(one["history"][:rows, LOSSES], two["history"][:rows, LOSSES])
        print(
            f"| {case} | {loss:.1e} | {weight_difference(one, two):.1e} | {one['seconds']:.3f} | {two['seconds']:.3f} |"
        )
    return folder, done.stdout


def read(folder: Path, case: str, devices: int) -> dict[str, np.ndarray]:
    with np.load(folder / f"{case}-{devices}.npz") as content:
        return dict(content)


def relative(one: np.ndarray, two: np.ndarray) -> float:
    return float((np.abs(one - two) / np.abs(one)).max())


def weight_difference(one: dict[str, np.ndarray], two: dict[str, np.ndarray]) -> float:
    names = [name for name in one if name.startswith("weight_")]
    largest = {name: max(float(np.abs(one[name]).max()), 1e-30) for name in names}  # some are all zeros
    return max(float(np.abs(one[name] - two[name]).max()) / largest[name] for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("case", ALIKE)
def test_two_devices_give_the_history_and_the_weights_of_one_to_rounding(runs, case):
    one, two = (read(runs[0], case, devices) for devices in (1, 2))
    assert one["history"].shape == two["history"].shape
    assert relative(one["history"][:, LOSSES], two["history"][:, LOSSES]) <= LOSS
    np.testing.assert_allclose(two["history"][:, ACCURACY], one["history"][:, ACCURACY], atol=1e-6)
    np.testing.assert_allclose(two["history"][:, RATE], one["history"][:, RATE], rtol=1e-6)
    assert weight_difference(one, two) <= WEIGHTS.get(case, WEIGHTS_ELSE)
    assert one["history"][-1, 1] != one["history"][0, 1], "nothing was trained"


@pytest.mark.slow
@pytest.mark.parametrize("case", GATHERED)
def test_val_is_scored_right_on_two_devices_and_the_best_weights_are_kept(runs, case):
    two = read(runs[0], case, 2)
    assert len(two["labels"]) % SETTINGS.batch_size == 1, "or val needs no uneven shares"
    said = two["said"][np.arange(len(two["labels"])), two["labels"]]
    best = two["history"][two["history"][:, 3].argmin()]
    assert -np.log(said).mean() == pytest.approx(best[3], rel=1e-4)
    assert (two["said"].argmax(axis=1) == two["labels"]).mean() == pytest.approx(best[4], abs=1e-6)


@pytest.mark.slow
def test_two_devices_lower_the_learning_rate_and_stop_where_one_does(runs):
    one, two = (read(runs[0], "head, stopped early", devices)["history"] for devices in (1, 2))
    assert two[-1, 0] < 80
    assert two[-1, 0] == one[-1, 0]
    assert two[:, 3].argmin() < len(two) - 1, "the best look was the last one, or this shows nothing"


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if "dropout" in case])
def test_with_dropout_two_devices_train_as_well_but_not_to_the_same_weights(runs, case):
    one, two = (read(runs[0], case, devices) for devices in (1, 2))
    np.testing.assert_allclose(two["history"][0], one["history"][0], rtol=LOSS)
    assert weight_difference(one, two) > 0.05, "then docs/scaling.md may promise more"


@pytest.mark.slow
def test_a_training_on_two_devices_that_is_killed_goes_on_to_the_same_bytes(runs):
    folder, printed = runs
    assert "kept: 1" in printed
    assert "going on from .checkpoints/" in printed
    for suffix in (".keras", ".csv"):
        assert (folder / f"killed{suffix}").read_bytes() == (folder / f"undisturbed{suffix}").read_bytes()
    assert load_classifier(folder / "killed.keras").breeds == ["x", "y", "z"]


def test_a_batch_is_divided_among_as_many_devices_as_get_equal_shares():
    visible = ["a", "b", "c", "d"]
    assert [len(devices_for(size, 100, visible)) for size in (32, 30, 7, 2, 1)] == [4, 3, 1, 2, 1]
    assert devices_for(30, 100, visible) == ["a", "b", "c"]


def test_fewer_devices_train_where_val_has_fewer_than_two_pictures_for_each(capsys):
    visible = ["a", "b", "c", "d"]
    assert [len(devices_for(24, val, visible)) for val in (8, 7, 6, 5, 4, 3, 1)] == [4, 3, 3, 2, 2, 1, 1]
    assert devices_for(32, 7, visible) == ["a", "b"], "32 can't be divided by the three that val is enough for"
    with all_devices(32, 3, ["CPU:0", "CPU:1"]):
        assert not tf.distribute.has_strategy()
    said = capsys.readouterr().out
    assert said == (
        "devices: 1 of 2, as a batch of 32 has to be divided equally, and val, of 3 pictures, needs two for each\n"
    )


@pytest.mark.parametrize("devices", [2, 3, 4, 8])
def test_each_picture_of_val_is_in_one_share_and_no_share_is_empty(devices):
    for count in range(2 * devices, 100):
        shares = shares_of_devices(np.arange(count), 16, devices)
        sizes = [len(share) for share in shares]
        np.testing.assert_array_equal(np.concatenate(shares), np.arange(count))
        assert len(shares) % devices == 0
        assert min(sizes) >= 1
        assert max(sizes) - min(sizes) <= 1
        assert len(set(sizes[:devices])) == 1


# Runs stages, each in its folder, where TensorFlow has so many devices when it starts
ON_DEVICES = """
import contextlib, json, os, runpy, sys
from pathlib import Path
import keras, tensorflow as tf
count, stages = json.loads(sys.argv[1])
processor = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * count)
for folder, stage in stages.items():
    os.chdir(folder)
    keras.backend.clear_session()
    sys.argv = stage.split()
    try:
        with Path("printed.txt").open("w") as printed, contextlib.redirect_stdout(printed):
            runpy.run_module(f"stages.{sys.argv[0]}", run_name="__main__")
    except SystemExit as ended:
        assert ended.code == 0, stage
"""
# A history is written with 6 digits. Rounding to 8 bits of bfloat16 is up to 0.004, relative, of which a network from
# scratch makes as much as lies between its losses in bfloat16 and in float32.
STAGES = {  # the model, how it is made, in which precision, and what rounding does to it
    "scratch": ("scratch_augmented", "train_scratch augmented", "float32", 1e-5),
    "scratch in bfloat16": ("scratch_augmented", "train_scratch augmented", "mixed_bfloat16", 3e-2),
    "transfer": (TRANSFERRED, f"transfer {BACKBONE} augmented", "float32", 1e-5),
    "finetune in bfloat16": (FINETUNE, f"finetune {BACKBONE}", "mixed_bfloat16", 5e-3),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory, run_stage):
    """A folder in which all was made that the stages of `STAGES` read."""
    root = tmp_path_factory.mktemp("project")
    draw_photos(root / "photos", seed=1)
    (root / "params.yaml").write_text(yaml.safe_dump(tiny_params()))
    for main, *arguments in (
        (prepare.main,),
        (augment.main,),
        (bundled_weights.main,),
        (features.main, BACKBONE, "photos"),
        (features.main, BACKBONE, "views"),
        (transfer.main, BACKBONE, "augmented"),
    ):
        assert run_stage(main, root, *arguments) == 0
    return root


@pytest.fixture(scope="module")
def stages_run(project, tmp_path_factory):
    """A folder in which each of `STAGES` ran on one device and on two, in <case>-<devices>."""
    root = tmp_path_factory.mktemp("stages")
    for devices in (1, 2):
        stages = {}
        for case, (_, stage, precision, _) in STAGES.items():
            params = tiny_params() | {"precision": precision}
            for section in ("train_scratch", "transfer", "finetune"):
                params[section]["dropout"] = 0
            folder = root / f"{case}-{devices}"
            (folder / "models").mkdir(parents=True)
            (folder / "params.yaml").write_text(yaml.safe_dump(params))
            (folder / "data").symlink_to(project / "data")
            (folder / f"models/{TRANSFERRED}.keras").symlink_to(project / f"models/{TRANSFERRED}.keras")
            stages[str(folder)] = stage
        done = subprocess.run(
            [sys.executable, "-c", ON_DEVICES, json.dumps([devices, stages])],
            capture_output=True, text=True, timeout=1800,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    return root


@pytest.mark.slow
@pytest.mark.parametrize("case", STAGES)
def test_a_stage_makes_of_two_devices_what_it_makes_of_one(project, stages_run, case):
    model, *_, rounding = STAGES[case]
    files, _ = find_pictures(project / "data/prepared/test")
    pictures = np.stack([read_picture(file, 32) for file in files])
    histories, said = [], []
    for devices in (1, 2):
        folder = stages_run / f"{case}-{devices}"
        histories.append(pd.read_csv(folder / f"plots/history/{model}.csv").to_numpy())
        said.append(load_classifier(folder / f"models/{model}.keras").network.predict_on_batch(pictures))
    assert "devices: 2 of 2\n" in (stages_run / f"{case}-2/printed.txt").read_text()
    assert len(set(histories[0][:, LOSSES[0]])) == len(histories[0]), "nothing was trained"
    assert relative(*(history[:, LOSSES] for history in histories)) <= rounding
    assert_close(said[1], said[0], rounding)


def test_with_one_device_there_is_no_strategy_and_nothing_is_said(capsys):
    with all_devices(32, 33, ["CPU:0"]):
        assert not tf.distribute.has_strategy()
    assert capsys.readouterr().out == ""
