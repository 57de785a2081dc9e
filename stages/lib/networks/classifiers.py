"""The networks that are compared: RGB photos 0-255 in, one probability a breed out, preprocessing inside.

What is kept of them, see `with_familiarity`, tells of a photo, too, how familiar it is.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.networks.graphs import named

HEAD = "head_"  # how the names of the layers on top of a backbone begin
POOL = f"{HEAD}pool"
COSINES = "familiarity_cosines"  # the layer that compares a photo to each breed
SHORTEST = 1e-12  # of features, which are as they are where they are shorter


def scratch_network(image_size: int, breeds: int, dropout: float) -> keras.Model:
    """A small CNN, trained from nothing: four convolutions with batch norm, global average pooling, dropout.

    0.4 million weights. Two things make it fast: the first convolution takes every second pixel, and pooling comes
    before batch norm and ReLU, which then have a quarter to do. Global average pooling in place of a large dense layer
    leaves it less to learn by heart (Lin et al., Network in network, ICLR 2014, section 3.2).
    """
    # over the whole batch, not over each device's share of it; on one device it would only round otherwise
    several_devices = tf.distribute.get_strategy().num_replicas_in_sync > 1
    photo = keras.Input((image_size, image_size, 3), name="photo")
    x = layers.Rescaling(1 / 127.5, offset=-1)(photo)
    for filters, strides in ((32, 2), (64, 1), (128, 1), (256, 1)):
        x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D()(x)
        # Keras' momentum of 0.99 would average over more steps than there are between two looks at val
        x = layers.BatchNormalization(momentum=0.9, synchronized=several_devices)(x)
        x = layers.ReLU()(x)
    x = layers.Dropout(dropout)(pool(x))
    return keras.Model(photo, _probabilities(x, breeds))


def _probabilities(x: keras.KerasTensor, breeds: int, start: str = "glorot_uniform") -> keras.KerasTensor:
    return layers.Dense(breeds, activation="softmax", kernel_initializer=start, dtype="float32", name=PROBABILITIES)(x)


def head_network(features: int, breeds: int, dropout: float) -> keras.Model:
    """The classifier on a backbone's pooled features (n, features): each photo's normalised, dropout, probabilities.

    With a hidden layer it loses to a logistic regression where there are many breeds (docs/results.md).
    """
    pooled = keras.Input((features,), name="features")
    # VGG16's features reach 180: as they are, the head gets far too sure of itself
    x = layers.LayerNormalization(name=f"{HEAD}normalization")(pooled)
    x = layers.Dropout(dropout, name=f"{HEAD}dropout")(x)
    # all breeds alike at first: few steps would not undo what a random start says
    return keras.Model(pooled, _probabilities(x, breeds, "zeros"))


def pool(feature_maps: keras.KerasTensor) -> keras.KerasTensor:
    """Average feature maps (n, height, width, channels) over the picture: (n, channels)."""
    return layers.GlobalAveragePooling2D(name=POOL)(feature_maps)


def pooled_features(network: keras.Model) -> keras.Model:
    """The part of ``network`` that gives its pooled features: photos to (n, channels)."""
    return keras.Model(network.inputs[0], network.get_layer(POOL).output)


def with_familiarity(network: keras.Model, means: np.ndarray) -> keras.Model:
    """``network``, which gives probabilities, with how familiar a photo is beside them.

    That is the cosine of its pooled features to the nearest of ``means``, see `stages.lib.familiarity.scores`.

    Args:
        network: photos to probabilities (n, breeds); its layers are shared.
        means: float32 (breeds, channels), rows of length 1.

    Returns:
        photos to a dictionary: `PROBABILITIES`, and `FAMILIARITY`, float32 (n,) in [-1, 1].
    """
    pooled = network.get_layer(POOL).output
    # not by Keras' UnitNormalization, which in TensorFlow Lite makes of zeros what is no number
    squares = named(keras.ops.square(pooled), "familiarity_squares")
    squared_length = named(keras.ops.sum(squares, axis=1, keepdims=True), "familiarity_squared_length")
    length = named(keras.ops.sqrt(squared_length), "familiarity_length")
    divisor = named(keras.ops.maximum(length, SHORTEST), "familiarity_divisor")
    direction = named(keras.ops.divide(pooled, divisor), "familiarity_direction")
    # whose start draws no random number: what is trained after it was read is as if it were not there
    cosines = layers.Dense(
        len(means),
        use_bias=False,
        trainable=False,
        kernel_initializer="zeros",
        dtype="float32",
        name=COSINES,
    )
    to_breeds = cosines(direction)
    cosines.set_weights([means.T])
    familiarity = named(keras.ops.max(to_breeds, axis=1), "familiarity_of_nearest")
    return keras.Model(network.inputs[0], {FAMILIARITY: familiarity, PROBABILITIES: network.outputs[0]})


def familiar_features(network: keras.Model) -> keras.Model:
    """The part of what `with_familiarity` gives that tells where a photo lies: photos to float32 (n, channels)."""
    cosines = next(layer for layer in network.layers if layer.name.startswith(COSINES))
    return keras.Model(network.inputs[0], cosines.input)


def join(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Put a trained head on its backbone, as one flat graph that shares their weights."""
    x = pool(backbone.outputs[0])
    for layer in head.layers[1:]:
        x = layer(x)
    return keras.Model(backbone.inputs[0], x)
