"""The recipe of the notebook that this project started from, in stock Keras: seconds an epoch of each of its trainings.

Its 128x128 pixels, `ImageDataGenerator` scaling to 0-1 with its augmentation, the whole of VGG16 in the network in each
epoch, and the test photos as validation data; 15 epochs of transfer learning without augmentation and 15 with it, 10 of
fine-tuning VGG16's last two blocks, 6 and 6 of a CNN from scratch. Of that CNN it is known that it has convolutions,
batch norm and dropout: here, one of that description.

Alone   python -m benchmarks.notebook FOLDER WEIGHTS: FOLDER has train/<breed> and test/<breed>, WEIGHTS is VGG16's
        .weights.h5 without its top; prints JSON
"""

import json
import sys
import time
from pathlib import Path

import keras
from keras import layers
from keras.src.legacy.preprocessing.image import ImageDataGenerator  # Keras' own, of which it is the last trace

SIDE = 128
BATCH_SIZE = 32
EPOCHS = {
    "transfer, plain": 15,
    "transfer, augmented": 15,
    "fine-tuning": 10,
    "scratch, plain": 6,
    "scratch, augmented": 6,
}
AUGMENTATION = {"rotation_range": 30, "horizontal_flip": True, "zoom_range": 0.2}


def transfer_network(weights: Path, breeds: int) -> keras.Model:
    """VGG16, frozen, with global average pooling, Dense 512 and dropout on top."""
    base = keras.applications.VGG16(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3))
    base.load_weights(weights)
    base.trainable = False
    return keras.Sequential(
        [
            base,
            layers.GlobalAveragePooling2D(),
            layers.Dense(512, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(breeds, activation="softmax"),
        ]
    )


def scratch_network(breeds: int) -> keras.Model:
    """Convolutions with batch norm and pooling, a dense layer, dropout."""
    blocks = [
        layer
        for filters in (32, 64, 128, 256)
        for layer in (
            layers.Conv2D(filters, 3, activation="relu", padding="same"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
        )
    ]
    head = [layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dropout(0.5)]
    return keras.Sequential([keras.Input((SIDE, SIDE, 3)), *blocks, *head, layers.Dense(breeds, activation="softmax")])


def batches(folder: Path, split: str, augmented: bool) -> keras.utils.PyDataset:
    """The photos of ``folder``/``split``, decoded, turned and scaled anew whenever they are asked for."""
    generator = ImageDataGenerator(rescale=1 / 255, **(AUGMENTATION if augmented else {}))
    return generator.flow_from_directory(
        folder / split, target_size=(SIDE, SIDE), batch_size=BATCH_SIZE, class_mode="categorical", seed=1
    )


def seconds_of_an_epoch(
    model: keras.Model, training: keras.utils.PyDataset, test: keras.utils.PyDataset, learning_rate: float
) -> float:
    """Compile ``model`` and measure one epoch, validation on ``test`` included.

    It is traced in two steps first, so that an epoch is measured and not TensorFlow's start.
    """
    model.compile(keras.optimizers.Adam(learning_rate), loss="categorical_crossentropy", metrics=["accuracy"])
    model.fit(training, validation_data=test, epochs=1, steps_per_epoch=2, validation_steps=1, verbose=0)
    start = time.perf_counter()
    model.fit(training, validation_data=test, epochs=1, verbose=2)
    return time.perf_counter() - start


def main() -> None:
    """Measure each training, and print its seconds an epoch and its epochs as JSON on the last line."""
    folder, weights = Path(sys.argv[1]), Path(sys.argv[2])
    breeds = len(list((folder / "train").iterdir()))
    keras.utils.set_random_seed(1)
    plain, augmented = (batches(folder, "train", variant) for variant in (False, True))
    test = batches(folder, "test", augmented=False)
    transfer = transfer_network(weights, breeds)
    seconds = {
        "transfer, plain": seconds_of_an_epoch(transfer, plain, test, 1e-3),
        "transfer, augmented": seconds_of_an_epoch(transfer, augmented, test, 1e-3),
    }
    base = transfer.layers[0]
    base.trainable = True
    for layer in base.layers:
        layer.trainable = layer.name.startswith(("block4", "block5"))
    seconds["fine-tuning"] = seconds_of_an_epoch(transfer, augmented, test, 1e-5)
    scratch = scratch_network(breeds)
    seconds["scratch, plain"] = seconds_of_an_epoch(scratch, plain, test, 1e-3)
    seconds["scratch, augmented"] = seconds_of_an_epoch(scratch, augmented, test, 1e-3)
    print(json.dumps([{"training": key, "epochs": EPOCHS[key], "seconds": value} for key, value in seconds.items()]))


if __name__ == "__main__":
    main()
