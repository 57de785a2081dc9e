"""Train each kind of network on one device and on two, in a process of its own: TensorFlow makes devices at its start.

Run by test_distribution.py in an empty folder, where it leaves <case>-<devices>.npz: the history, the weights, and what
the trained network says of val.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import keras
import numpy as np
import tensorflow as tf
import yaml
from dvc.repo import Repo
from small_classifiers import small_classifier

from stages.finetune import split_for_training
from stages.lib.backbones.build import build_backbone
from stages.lib.core import paths
from stages.lib.core.params import Training
from stages.lib.datasets.batches import training_batches, validation_batches
from stages.lib.networks.classifiers import head_network, join, scratch_network
from stages.lib.networks.graphs import in_precision
from stages.lib.training.checkpoints import Checkpoint
from stages.lib.training.devices import all_devices, visible_devices
from stages.lib.training.loop import set_seed, train
from stages.lib.training.results import write_results

TRAINED, VALIDATED = 64, 33  # with batches of 16, the last one of val has a picture for one of the two devices alone
SETTINGS = Training(
    steps=24, batch_size=16, class_balance="weights", optimizer="adamw", learning_rate=0.003, weight_decay=0.1,
    dropout=0.0, label_smoothing=0.1, validate_every=4, patience=2, passes=0,
)  # fmt: skip
NAME = "VGG16_transfer_plain"
SIDE = 32
WORSE = {"learning_rate": 0.1, "steps": 80, "patience": 3}  # a rate so high that it falls, and training stops early
LONGER = {"steps": 40, "patience": 10}  # until the moving averages of batch norm have gathered
# what the network is, and what is set otherwise
CASES = {
    "head, sgd": ("head", {"optimizer": "sgd"}),
    "head, stopped early": ("head", WORSE),
    "scratch": ("scratch", {"steps": 8}),
    "scratch, longer": ("scratch", LONGER),
    "scratch, dropout": ("scratch", {"steps": 16, "patience": 10, "dropout": 0.3}),
    "finetune": ("finetune", {"learning_rate": 0.0005}),
}


class KilledError(Exception):
    """Ends a training in its middle."""


def pictures(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Noise around a mean of each channel that tells the breed, one of three: float32 (n, *shape), int (n,)."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, TRAINED + VALIDATED)
    of_breeds = generator.normal(size=(3, *[1] * (len(shape) - 1), shape[-1]))
    return (of_breeds[labels] + 2 * generator.normal(size=(len(labels), *shape))).astype(np.float32), labels


def make(kind: str, dropout: float) -> tuple[keras.Model, keras.Model]:
    """A network, and the part of it that is trained, as the stages make them."""
    if kind == "head":
        model = head_network(8, 3, dropout)
    elif kind == "scratch":
        model = scratch_network(SIDE, 3, dropout)
    else:
        backbone = build_backbone("EfficientNetLite0", 64)
        whole = join(backbone, head_network(backbone.output_shape[-1], 3, dropout))
        model = in_precision(whole, "float32", {"head_dropout": dropout})
        return model, split_for_training(model, 3)
    return model, model


def train_case(case: str, devices: int, quiet: bool = True):
    """Train as a stage does, and give the network, what was trained of it, what came of it, val and seconds a step."""
    kind, changes = CASES[case]
    settings = SETTINGS.model_copy(update=changes)
    keras.utils.clear_session()
    set_seed(1)
    with all_devices(settings.batch_size, VALIDATED, visible_devices()[:devices]):
        assert tf.distribute.get_strategy().num_replicas_in_sync == devices
        model, part = make(kind, settings.dropout)
        inputs, labels = pictures(part.input_shape[1:])
        if kind == "scratch":
            inputs = np.clip(128 + 40 * inputs, 0, 255).astype(np.uint8)
        training = training_batches(inputs[:TRAINED], labels[:TRAINED], 3, settings, 1)
        val, val_labels = inputs[TRAINED:], labels[TRAINED:]
        validation = validation_batches(val, val_labels, 3, settings.batch_size)
        trained = train(part, training, validation, settings, what=NAME, quiet=quiet)
    return model, part, trained, val, val_labels


def write_case(case: str, devices: int) -> None:
    """Train, and write down what came of it."""
    start = time.perf_counter()
    model, part, trained, val, labels = train_case(case, devices)
    seconds = (time.perf_counter() - start) / trained.history["step"].iloc[-1]
    path = Path(f"{case}-{devices}.npz")
    weights = {f"weight_{index}": weight for index, weight in enumerate(model.get_weights())}
    said = keras.ops.convert_to_numpy(part(val, training=False))
    history = trained.history.to_numpy()
    with path.open("wb") as file:
        np.savez(file, history=history, said=said, labels=labels, seconds=seconds, **weights)


def write_killed() -> None:
    """Train on two devices as DVC lets a stage train: undisturbed, then killed and gone on with."""
    Repo.init(".", no_scm=True)
    matrix = {"variant": ["plain", "augmented"]}
    graph = {"stages": {"transfer": {"matrix": matrix, "cmd": "python ${item.variant}.py", "params": ["seed"]}}}
    Path("dvc.yaml").write_text(yaml.safe_dump(graph))
    Path("params.yaml").write_text(yaml.safe_dump({"seed": 1}))
    os.environ["DVC_STAGE"] = "transfer@plain"
    original = Checkpoint.on_train_batch_end

    def killed(self, batch, logs=None):
        original(self, batch, logs)
        if len(self.rows) == 2 and batch == 1:
            raise KilledError

    for name, kills in (("undisturbed", False), ("killed", True)):
        if kills:
            Checkpoint.on_train_batch_end = killed
            try:
                train_case("scratch, dropout", 2, quiet=False)
            except KilledError:
                print("kept:", len(list(paths.CHECKPOINTS.iterdir())))
            Checkpoint.on_train_batch_end = original
        model, _, trained, _, _ = train_case("scratch, dropout", 2, quiet=False)  # quiet keeps no checkpoint
        write_results(NAME, small_classifier(in_precision(model, "float32"), ["x", "y", "z"]), trained, "float32")
        for path in (paths.MODELS / f"{NAME}.keras", paths.HISTORY / f"{NAME}.csv"):
            path.rename(f"{name}{path.suffix}")


if __name__ == "__main__":
    processor = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_visible_devices([], "GPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 2)
    for each in sys.argv[1:] or CASES:
        for count in (1, 2):
            write_case(each, count)
            print(each, count, "done", flush=True)
    write_killed()
