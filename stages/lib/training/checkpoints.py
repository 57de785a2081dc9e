"""Where a training stands after each look at val: kept, so that one that is killed goes on from there.

DVC removes a stage's outputs before it runs the stage, so this stands outside of them, in a folder that Git and DVC
ignore. Keras' own `BackupAndRestore` would not do: it forgets what other callbacks have seen, such as the best look.
"""

import hashlib
import importlib.metadata
import json
import os
import time
import zipfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from keras import callbacks

from stages.lib.core import paths
from stages.lib.core.outputs import whole_file

PACKAGES = ("tensorflow", "keras", "numpy")  # another version of them may train to other bytes
STATE = {  # of the callbacks that have any, what changes while they train
    "ReduceLROnPlateau": ("best", "wait", "cooldown_counter"),
    "EarlyStopping": ("best", "wait", "best_epoch", "stopped_epoch"),
}


def hash_stage(address: str) -> str:
    """Hash all that a stage of dvc.yaml, such as "transfer@plain", depends on.

    The stage's file may stand before its name, as DVC has it where it is called in another folder.
    What it depends on: params, files as DVC hashes them, precision, how many devices train it, and `PACKAGES`.
    """
    versions = [importlib.metadata.version(package) for package in PACKAGES]
    precision = keras.config.dtype_policy().name  # which `precision: auto` chose on this machine
    devices = tf.distribute.get_strategy().num_replicas_in_sync  # another number of them rounds otherwise
    with Repo() as repo:
        deps = [
            [dep.def_path, dep.read_params() if isinstance(dep, ParamsDependency) else dep.get_hash().value]
            for dep in repo.stage.load_one(name=address.rpartition(":")[2]).deps
        ]
    return hashlib.sha256(json.dumps([*versions, precision, devices, *deps]).encode()).hexdigest()[:32]


def remove_checkpoints(name: str) -> None:
    """Remove what was kept of the model ``name``, by whichever params: it is trained and saved."""
    for path in paths.CHECKPOINTS.glob(f"{name}-*.npz"):
        path.unlink()


class Checkpoint(callbacks.Callback):
    """Keeps after each look at val all that training needs to go on, and goes on from it.

    It has to stand behind the callbacks whose state it keeps. Without a name, or where no DVC runs the stage,
    nothing is kept.

    Attributes:
        look: how many looks at val were there before.
        finished: whether training had come to its end by then.
        rows: what Keras logged of each look, those before included.
        seconds: what was spent on them, in earlier runs.
    """

    def __init__(self, name: str | None, watched: list[callbacks.Callback]):
        super().__init__()
        self.watched = {type(callback).__name__: callback for callback in watched}
        address = os.environ.get("DVC_STAGE")
        self.path = paths.CHECKPOINTS / f"{name}-{hash_stage(address)}.npz" if name and address else None
        self.rows: list[dict[str, float]] = []
        self.seconds = 0.0
        self.finished = False
        self.arrays: dict[str, np.ndarray] = {}
        if self.path and self.path.exists():
            self._read(self.path)
        self.look = len(self.rows)
        self.started = time.perf_counter()

    @property
    def kept(self) -> str:
        """What a run that is stopped now leaves behind, in words."""
        if not self.path or not self.rows:
            return "nothing of this training is kept"
        return f"training up to look {len(self.rows)} at val is kept in {self.path}, and goes on from there"

    def _read(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as content:
                self.arrays = dict(content)
            self.state = json.loads(str(self.arrays.pop("state")))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            print(f"{path} can't be read ({error}): training starts anew")
            return
        self.rows, self.seconds, self.finished = (self.state[name] for name in ("rows", "seconds", "finished"))
        print(f"going on from {path}, after look {len(self.rows)} at val")

    def _variables(self) -> list[keras.Variable]:
        """All that training changes: weights, the state of dropout and of the optimizer."""
        return [*self.model.variables, *self.model.optimizer.variables]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002, D102
        if not self.rows:
            return
        self.model.optimizer.build(self.model.trainable_variables)  # its moments, which Keras makes at the first step
        for index, variable in enumerate(self._variables()):
            variable.assign(self.arrays[f"variable_{index}"])
        for name, callback in self.watched.items():
            for attribute, value in self.state["callbacks"][name].items():
                setattr(callback, attribute, value)
        best = [self.arrays[f"best_{index}"] for index in range(len(self.model.weights))]
        self.watched["EarlyStopping"].best_weights = best
        self.arrays = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002, D102
        self.rows.append(dict(logs))
        if not self.path:
            return
        state = {
            "rows": self.rows,
            "seconds": self.seconds + time.perf_counter() - self.started,
            "finished": self.model.stop_training,
            "callbacks": {
                name: {attribute: getattr(callback, attribute) for attribute in STATE[name]}
                for name, callback in self.watched.items()
            },
        }
        arrays = {
            f"variable_{index}": keras.ops.convert_to_numpy(variable)
            for index, variable in enumerate(self._variables())
        }
        arrays |= {f"best_{index}": array for index, array in enumerate(self.watched["EarlyStopping"].best_weights)}
        with whole_file(self.path) as partial, partial.open("wb") as file:
            np.savez(file, state=np.array(json.dumps(state)), **arrays)
