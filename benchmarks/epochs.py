"""Seconds of an epoch in stock Keras, which both recipes that the pipeline stands beside are measured by."""

import time
from typing import Any

import keras


def seconds_of_an_epoch(model: keras.Model, training: Any, test: Any, learning_rate: float) -> float:
    """Compile ``model`` and measure one epoch, validation on ``test`` included.

    It is traced in two steps first, so that an epoch is measured and not TensorFlow's start. ``training`` and ``test``
    are what `fit` takes, batches of photos with one-hot labels.
    """
    model.compile(keras.optimizers.Adam(learning_rate), loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(training, validation_data=test, epochs=1, steps_per_epoch=2, validation_steps=1, verbose=0)
    start = time.perf_counter()
    model.fit(training, validation_data=test, epochs=1, verbose=2)
    return time.perf_counter() - start
