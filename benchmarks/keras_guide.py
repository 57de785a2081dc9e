"""Transfer learning as Keras' own guide does it (https://keras.io/guides/transfer_learning): seconds an epoch.

tf.data with prefetch, augmentation by layers, the frozen network inside the model and called in inference mode, `fit`
end to end; then all of it unfrozen at a low learning rate. Here with VGG16 at 128x128 pixels and the notebook's epochs:
15 without augmentation, 15 with it, 10 of fine-tuning. The guide trains nothing from scratch.

Alone   python -m benchmarks.keras_guide FOLDER WEIGHTS, as for benchmarks.notebook; prints JSON
"""

import json
import sys
from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

from benchmarks.epochs import seconds_of_an_epoch

SIDE = 128
BATCH_SIZE = 64
EPOCHS = {"transfer, plain": 15, "transfer, augmented": 15, "fine-tuning": 10}


def network(weights: Path, breeds: int, augmented: bool) -> tuple[keras.Model, keras.Model]:
    """The guide's model and the base inside it."""
    base = keras.applications.VGG16(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3))
    base.load_weights(weights)
    base.trainable = False
    photo = keras.Input((SIDE, SIDE, 3))
    x = photo
    if augmented:
        x = layers.RandomRotation(0.1)(layers.RandomFlip("horizontal")(x))
    x = keras.applications.vgg16.preprocess_input(x)
    x = layers.GlobalAveragePooling2D()(base(x, training=False))
    x = layers.Dropout(0.2)(x)
    return keras.Model(photo, layers.Dense(breeds, activation="softmax")(x)), base


def batches(folder: Path, split: str) -> tf.data.Dataset:
    """The photos of ``folder``/``split``, prefetched."""
    return keras.utils.image_dataset_from_directory(
        folder / split,
        label_mode="categorical",
        image_size=(SIDE, SIDE),
        batch_size=BATCH_SIZE,
        shuffle=split == "train",
        seed=1,
    ).prefetch(tf.data.AUTOTUNE)


def main() -> None:
    """Measure each training, and print its seconds an epoch and its epochs as JSON on the last line."""
    folder, weights = Path(sys.argv[1]), Path(sys.argv[2])
    breeds = len(list((folder / "train").iterdir()))
    keras.utils.set_random_seed(1)
    plain, _ = network(weights, breeds, augmented=False)
    augmented, base = network(weights, breeds, augmented=True)
    training, test = batches(folder, "train"), batches(folder, "test")
    seconds = {
        "transfer, plain": seconds_of_an_epoch(plain, training, test, 1e-3),
        "transfer, augmented": seconds_of_an_epoch(augmented, training, test, 1e-3),
    }
    base.trainable = True
    seconds["fine-tuning"] = seconds_of_an_epoch(augmented, training, test, 1e-5)
    print(json.dumps([{"training": key, "epochs": EPOCHS[key], "seconds": value} for key, value in seconds.items()]))


if __name__ == "__main__":
    main()
