"""Transfer learning as Keras' own guide does it (https://keras.io/guides/transfer_learning), with EfficientNet-Lite2.

The weights and the size of the pipeline's default, in stock Keras and float32: tf.data with prefetch, augmentation by
layers, the frozen network inside the model and called in inference mode, `fit` end to end until accuracy on val stops
rising; then all of it unfrozen at a low learning rate, until val stops again. Test is opened when a training has ended,
off the clock.

Alone   python -m benchmarks.peer FOLDER WEIGHTS SEED: FOLDER has train, val and test, with a folder a breed in each,
        WEIGHTS is the network's .weights.h5 without its top; prints JSON
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from stages.lib.backbones.efficientnet_lite import EfficientNetLite2, preprocess_input

SIDE = 260
BATCH_SIZE = 32
LONGEST = 100  # epochs, more than the first training takes
FINE_TUNING = 10  # epochs at most, as in the guide


def network(weights: Path, breeds: int) -> tuple[keras.Model, keras.Model]:
    """The guide's model and the base inside it."""
    base = EfficientNetLite2(include_top=False, input_shape=(SIDE, SIDE, 3))
    base.load_weights(weights)
    base.trainable = False
    photo = keras.Input((SIDE, SIDE, 3))
    x = layers.RandomFlip("horizontal")(photo)
    x = layers.RandomZoom(0.2)(layers.RandomRotation(0.1)(x))
    x = layers.GlobalAveragePooling2D()(base(preprocess_input(x), training=False))
    x = layers.Dropout(0.2)(x)
    return keras.Model(photo, layers.Dense(breeds, activation="softmax")(x)), base


def batches(folder: Path, split: str) -> tf.data.Dataset:
    """The photos of ``folder``/``split``, prefetched."""
    return keras.utils.image_dataset_from_directory(
        folder / split,
        label_mode="categorical",
        image_size=(SIDE, SIDE),
        crop_to_aspect_ratio=True,
        batch_size=BATCH_SIZE,
        shuffle=split == "train",
    ).prefetch(tf.data.AUTOTUNE)


def train(
    model: keras.Model, data: dict[str, tf.data.Dataset], learning_rate: float, epochs: int, patience: int
) -> dict[str, Any]:
    """Train until accuracy on val has not risen for ``patience`` epochs, and keep the best weights."""
    start = time.perf_counter()
    model.compile(keras.optimizers.Adam(learning_rate), loss="categorical_crossentropy", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping("val_accuracy", mode="max", patience=patience, restore_best_weights=True)
    fitted = model.fit(data["train"], validation_data=data["val"], epochs=epochs, callbacks=[stop], verbose=2)
    seconds = time.perf_counter() - start
    _, accuracy = model.evaluate(data["test"], verbose=0)
    return {"seconds": seconds, "epochs": len(fitted.epoch), "accuracy": accuracy}


def main() -> None:
    """Train twice, and print seconds, epochs and accuracy on test of each as JSON on the last line."""
    folder, weights, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    keras.utils.set_random_seed(seed)
    data = {split: batches(folder, split) for split in ("train", "val", "test")}
    model, base = network(weights, len(list((folder / "train").iterdir())))
    trainings = {"frozen": train(model, data, 1e-3, LONGEST, patience=3)}
    base.trainable = True
    trainings["fine-tuning"] = train(model, data, 1e-5, FINE_TUNING, patience=2)
    print(json.dumps(trainings))


if __name__ == "__main__":
    main()
