"""A training that is stopped or killed goes on from its last look at val, and ends with the same bytes."""

import functools

import keras
import numpy as np
import pytest
import yaml
from conftest import slow_but
from dvc.repo import Repo
from small_classifiers import KNOWN

from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.lib.core.params import Training
from stages.lib.datasets.batches import training_batches, validation_batches
from stages.lib.networks.classifiers import head_network, scratch_network
from stages.lib.networks.model_files import Classifier
from stages.lib.training.checkpoints import Checkpoint, hash_stage
from stages.lib.training.loop import set_seed, train
from stages.lib.training.results import write_results

SETTINGS = Training(
    steps=18, batch_size=8, class_balance="none", optimizer="adamw", learning_rate=0.05, weight_decay=0.01, dropout=0.5,
    label_smoothing=0.1, validate_every=3, patience=4, passes=0,
)  # fmt: skip
NAME = "VGG16_transfer_plain"
SLOW = pytest.mark.slow
KILLS = [(0, 2), (1, 0), (3, 1), (-1, 2)]  # after how many looks at val, the last counting from the end, and steps


class KilledError(Exception):
    pass


@pytest.fixture(autouse=True)
def _project(tmp_path, monkeypatch):
    """A repository of DVC's in which it seems to run the stage transfer@VGG16-plain."""
    graph = {
        "stages": {
            "transfer": {
                "matrix": {"backbone": "${backbones}", "variant": ["plain", "augmented"]},
                "cmd": "python code.py ${item.backbone} ${item.variant}",
                "params": ["seed", "transfer.steps", {"found.json": ["best"]}],
                "deps": ["${data.source}", "code.py", "features/${item.backbone}/${item.variant}"],
            }
        }
    }
    Repo.init(str(tmp_path), no_scm=True)
    (tmp_path / "found.json").write_text('{"best": "one", "score": 1}')
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump(graph))
    (tmp_path / "params.yaml").write_text(
        yaml.safe_dump(
            {
                "seed": 1,
                "data": {"source": "photos"},
                "backbones": {"VGG16": {"more": 1}, "other-2": {"more": 1}},
                "transfer": {"steps": 30, "more": 1},
            }
        )
    )
    features = [f"features/{name}/train.npy" for name in ("VGG16/plain", "VGG16/augmented", "other-2/plain")]
    for file in ("photos/a/1.jpg", *features, "code.py"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_STAGE", "transfer@VGG16-plain")


def of_head():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 80)
    inputs = (np.eye(3)[labels] + generator.normal(size=(80, 3))).astype(np.float32)
    return head_network(3, 3, 0.5), inputs, labels


def of_scratch_network():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 40)
    inputs = generator.integers(0, 256, (40, 32, 32, 3), np.uint8)
    return scratch_network(32, 3, 0.5), inputs, labels


def train_and_write(make, settings):
    """Train as a stage does, in a process of its own: from the same seed, with Keras' names counted from 0."""
    keras.utils.clear_session()
    set_seed(1)
    model, inputs, labels = make()
    half = len(labels) // 2
    training = training_batches(inputs[:half], labels[:half], 3, settings, 1)
    validation = validation_batches(inputs[half:], labels[half:], 3, settings.batch_size)
    trained = train(model, training, validation, settings, NAME)
    write_results(NAME, Classifier(model, ["x", "y", "z"], "crop", 32, KNOWN), trained, "float32")
    return trained


def made():
    files = [path for place in ("metrics", "models", "plots") for path in sorted(paths.Path(place).rglob("*.*"))]
    return {path.as_posix(): path.read_bytes() for path in files if "costs" not in path.parts}


def rewrite(file, old, new):
    path = paths.Path(file)
    path.write_text(path.read_text().replace(old, new))


def kill_after(monkeypatch, look, step):
    """Let training end ``step`` steps after ``look`` looks at val, of this run and of those before it."""
    original_look, original_step = Checkpoint.on_epoch_end, Checkpoint.on_train_batch_end

    def on_epoch_end(self, epoch, logs=None):
        original_look(self, epoch, logs)
        if len(self.rows) == look and step == 0:
            raise KilledError

    def on_train_batch_end(self, batch, logs=None):
        original_step(self, batch, logs)
        if len(self.rows) == look and batch + 1 == step:
            raise KilledError

    monkeypatch.setattr(Checkpoint, "on_epoch_end", on_epoch_end)
    monkeypatch.setattr(Checkpoint, "on_train_batch_end", on_train_batch_end)


CASES = {
    "head": (of_head, {}),
    "sgd": (of_head, {"optimizer": "sgd"}),
    "a learning rate that falls and a stop before the end": (of_head, {"learning_rate": 3.0, "steps": 60}),
    "batch norm": (of_scratch_network, {"learning_rate": 0.01, "steps": 12}),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a training of a case gives that nobody disturbs, and the files that it makes; each is trained once."""

    @functools.cache
    def trained(case: str):
        make, changes = CASES[case]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path_factory.mktemp("undisturbed"))
            patch.delenv("DVC_STAGE", raising=False)
            return train_and_write(make, SETTINGS.model_copy(update=changes)), made()

    return trained


@pytest.mark.parametrize(
    ("case", "kills"),
    [("head", KILLS[1:3]), *(pytest.param(case, KILLS, marks=SLOW) for case in CASES)],
)
def test_a_training_that_is_killed_again_and_again_ends_with_the_same_bytes(monkeypatch, undisturbed, case, kills):
    make, changes = CASES[case]
    settings = SETTINGS.model_copy(update=changes)
    whole, expected = undisturbed(case)
    looks = len(whole.history) - 1
    if "stop" in case:
        assert looks < settings.looks
        assert whole.history["learning_rate"].iloc[-1] < 0.6 * settings.learning_rate
    for place, step in kills:
        look = place % looks
        with monkeypatch.context() as patch, pytest.raises(KilledError):
            kill_after(patch, look, step)
            train_and_write(make, settings)
        assert len(list(paths.CHECKPOINTS.glob("*"))) == (look > 0)
    resumed = train_and_write(make, settings)
    assert made() == expected
    assert resumed.history.equals(whole.history)
    assert list(paths.CHECKPOINTS.iterdir()) == []


@pytest.mark.parametrize("case", slow_but(list(CASES)[:3:2], "head"))
def test_a_training_that_is_killed_before_its_model_is_saved_trains_no_further(monkeypatch, undisturbed, case):
    make, changes = CASES[case]
    settings = SETTINGS.model_copy(update=changes)
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr("stages.lib.training.results.save_classifier", lambda *_: (_ for _ in ()).throw(KilledError))
        train_and_write(make, settings)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "on_train_batch_end", lambda *_: pytest.fail("trained further"))
        train_and_write(make, settings)
    assert made() == undisturbed(case)[1]


def test_a_training_of_other_params_starts_anew_and_leaves_what_was_kept(monkeypatch, capsys):
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        kill_after(patch, 3, 0)
        train_and_write(of_head, SETTINGS)
    (kept,) = paths.CHECKPOINTS.iterdir()
    rewrite("params.yaml", "seed: 1", "seed: 2")
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        kill_after(patch, 1, 0)
        train_and_write(of_head, SETTINGS)
    assert "going on" not in capsys.readouterr().out
    assert kept.exists()
    train_and_write(of_head, SETTINGS)
    assert "going on from" in capsys.readouterr().out
    assert list(paths.CHECKPOINTS.iterdir()) == []


@pytest.mark.parametrize("content", slow_but([b"", b"rubbish", None], None), ids=["empty", "rubbish", "cut short"])
def test_what_was_kept_and_is_damaged_costs_no_more_than_the_time(monkeypatch, capsys, undisturbed, content):
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        kill_after(patch, 3, 0)
        train_and_write(of_head, SETTINGS)
    (kept,) = paths.CHECKPOINTS.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2] if content is None else content)
    train_and_write(of_head, SETTINGS)
    assert "can't be read" in capsys.readouterr().out
    assert made() == undisturbed("head")[1]


def test_nothing_is_kept_where_dvc_does_not_run_the_stage(monkeypatch):
    monkeypatch.delenv("DVC_STAGE")
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        kill_after(patch, 3, 0)
        train_and_write(of_head, SETTINGS)
    assert not paths.CHECKPOINTS.exists()


def test_ctrl_c_says_what_is_kept(monkeypatch, capsys):
    def interrupted(self, batch, logs=None):  # noqa: ARG001
        if len(self.rows) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "on_train_batch_end", interrupted)
    with pytest.raises(SystemExit) as ended:
        run(lambda: train_and_write(of_head, SETTINGS))
    (kept,) = paths.CHECKPOINTS.iterdir()
    assert ended.value.code == 130
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"stopped: training up to look 2 at val is kept in {kept}, and goes on from there; run it again to go on from "
        "the stages that are done"
    )


def test_the_hash_is_of_all_that_the_stage_depends_on_and_of_nothing_else():
    stage = "transfer@VGG16-plain"
    before = hash_stage(stage)
    rewrite("params.yaml", "more: 1", "more: 2")
    rewrite("found.json", "1", "2")
    rewrite("features/VGG16/augmented/train.npy", "train", "other")
    rewrite("features/other-2/plain/train.npy", "train", "other")
    assert hash_stage(stage) == before
    seen = {before, hash_stage("transfer@VGG16-augmented"), hash_stage("transfer@other-2-plain")}
    for change in [
        ("params.yaml", "seed: 1", "seed: 2"),
        ("params.yaml", "steps: 30", "steps: 31"),
        ("found.json", "one", "other"),
        ("photos/a/1.jpg", "1", "2"),
        ("features/VGG16/plain/train.npy", "train", "other"),
        ("code.py", "code", "other"),
    ]:
        rewrite(*change)
        seen.add(hash_stage(stage))
    paths.Path("photos/a/1.jpg").rename("photos/a/2.jpg")
    seen.add(hash_stage(stage))
    assert len(seen) == 10


def test_of_a_quiet_training_nothing_is_kept():
    set_seed(1)
    model, inputs, labels = of_head()
    batches = training_batches(inputs, labels, 3, SETTINGS, 1)
    train(model, batches, validation_batches(inputs, labels, 3, 8), SETTINGS, NAME, quiet=True)
    assert not paths.CHECKPOINTS.exists()
