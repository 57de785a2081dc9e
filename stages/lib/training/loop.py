"""The training loop that the three trained stages share, and what they write down of it."""

import functools
import math
import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import callbacks

from stages.lib.core.errors import UserError
from stages.lib.core.params import Training
from stages.lib.core.progress import Progress
from stages.lib.training.checkpoints import Checkpoint

WARM_UP = 0.1  # share of the learning rate at which the first steps, up to the first look at val, are made
NOT_DECAYED = ["bias", "gamma", "beta"]  # He et al., Bag of tricks (CVPR 2019), section 3.1, "no bias decay"
OPTIMIZERS = {
    # Loshchilov and Hutter, Decoupled weight decay regularization (ICLR 2019)
    "adamw": keras.optimizers.AdamW,
    # Sutskever et al., On the importance of initialization and momentum (ICML 2013), section 2
    "sgd": functools.partial(keras.optimizers.SGD, momentum=0.9, nesterov=True),
}
HISTORY_COLUMNS = ["step", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and TensorFlow, and keep TensorFlow to operations that give the same bits each time."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def schedule(look: int, looks: int) -> float:
    """The share of the learning rate to use between two looks at val: a warm-up, then a cosine towards 0.

    Loshchilov and Hutter, SGDR (ICLR 2017), equation 5, without restarts. ``look`` counts from 0 to ``looks`` - 1.
    """
    return WARM_UP if look == 0 else (1 + math.cos(math.pi * look / looks)) / 2


class ProgressBar(callbacks.Callback):
    """One progress bar over all steps, with the last look at val beside it."""

    def __init__(self, what: str, steps: int, done: int, batch_size: int, quiet: bool):
        super().__init__()
        self.batch_size = batch_size
        total, initial = steps * batch_size, done * batch_size
        self.bar = Progress(desc=what, total=total, initial=initial, unit="picture", disable=quiet)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002, D102
        self.bar.update(self.batch_size)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:  # noqa: ARG002, D102
        told = f"val accuracy {logs['val_accuracy']:.3f}, val loss {logs['val_loss']:.3f}"
        self.bar.set_postfix_str(told, refresh=False)


@dataclass(frozen=True)
class TrainingRun:
    """What became of a training: one row of ``history`` a look at val, from step 0 on."""

    history: pd.DataFrame
    seconds: float
    pictures: int  # that were trained on, each as often as it came

    @property
    def best(self) -> pd.Series:
        """The look whose weights were kept: the first with the lowest val loss."""
        row: Any = self.history["val_loss"].idxmin()
        return self.history.loc[row]


def train(
    model: keras.Model,
    training: tf.data.Dataset,
    validation: tf.data.Dataset,
    settings: Training,
    what: str,
    quiet: bool = False,
) -> TrainingRun:
    """Train what is trainable in ``model`` for ``settings.looks`` looks at val at most, and leave it at its best.

    Best is the look at val with the lowest log loss, the one before training included: so finetune is never worse on
    val than the head that it starts from.

    A training that was stopped or killed goes on from its last look, to the same bytes (`Checkpoint`).

    `OPTIMIZERS` has what ``settings.optimizer`` names. Val is looked at every ``validate_every`` steps; the learning
    rate halves after half of ``patience`` looks without a lower val loss, and training stops after all of it. ``quiet``
    leaves progress bar and checkpoint out, for one of many trainings that take seconds.

    Raises `UserError` where the loss is no finite number any more.
    """
    optimizer = OPTIMIZERS[settings.optimizer](settings.learning_rate, weight_decay=settings.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    # `metrics`, not `weighted_metrics`: accuracy counts every picture once, whatever its loss counts
    model.compile(optimizer, loss="categorical_crossentropy", metrics=["accuracy"])
    looks = settings.looks

    def next_rate(look: int, rate: float) -> float:
        # relative to the rate that it finds, so that reductions on val last
        return rate * schedule(look, looks) / (schedule(look - 1, looks) if look else 1)

    start = time.perf_counter()
    weights_before = model.get_weights()
    before = look_before_training(model, training.take(settings.validate_every), validation)
    plateau = callbacks.ReduceLROnPlateau(factor=0.5, patience=max(1, settings.patience // 2), min_delta=0)
    stopping = callbacks.EarlyStopping(patience=settings.patience, restore_best_weights=True)
    checkpoint = Checkpoint(None if quiet else what, [plateau, stopping])
    done = checkpoint.look * settings.validate_every
    progress = ProgressBar(what, looks * settings.validate_every, done, settings.batch_size, quiet)
    try:
        model.fit(
            training.skip(done),
            validation_data=validation,
            initial_epoch=checkpoint.look,
            epochs=checkpoint.look if checkpoint.finished else looks,
            steps_per_epoch=settings.validate_every,
            shuffle=False,  # the order of ``training`` is the order
            verbose=0,
            callbacks=[
                callbacks.LearningRateScheduler(next_rate),
                plateau,
                stopping,
                callbacks.TerminateOnNaN(),
                progress,
                checkpoint,
            ],
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(checkpoint.kept) from None
    finally:
        progress.bar.close()
    looks_after = pd.DataFrame(checkpoint.rows)
    looks_after["step"] = (looks_after.index + 1) * settings.validate_every
    history = pd.concat([before, looks_after])[HISTORY_COLUMNS].reset_index(drop=True)
    seconds = checkpoint.seconds + time.perf_counter() - start
    trained = TrainingRun(history, seconds, history["step"].iloc[-1] * settings.batch_size)
    if not np.isfinite(trained.history[["loss", "val_loss"]]).all(axis=None):
        raise UserError(f"{what} diverged: its loss is no finite number any more. Lower its learning_rate.")
    if trained.best["step"] == 0:
        model.set_weights(weights_before)
    return trained


def look_before_training(model: keras.Model, training: tf.data.Dataset, validation: tf.data.Dataset) -> pd.DataFrame:
    """The row of the history for step 0: what the model is worth as it comes."""
    loss, accuracy = model.evaluate(training, verbose=0)
    val_loss, val_accuracy = model.evaluate(validation, verbose=0)
    return pd.DataFrame([[0, loss, accuracy, val_loss, val_accuracy, 0.0]], columns=HISTORY_COLUMNS)
