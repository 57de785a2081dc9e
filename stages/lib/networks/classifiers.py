"""The networks that are compared: RGB photos 0-255 in, one probability a breed out, preprocessing inside."""

import keras
import tensorflow as tf
from keras import layers

HEAD = "head_"  # how the names of the layers on top of a backbone begin


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
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(photo, _probabilities(x, breeds))


def _probabilities(x: keras.KerasTensor, breeds: int) -> keras.KerasTensor:
    return layers.Dense(breeds, activation="softmax", dtype="float32", name="probabilities")(x)


def head_network(features: int, breeds: int, dense_units: int, dropout: float) -> keras.Model:
    """The classifier on a backbone's pooled features (n, features): a dense layer, dropout, probabilities."""
    pooled = keras.Input((features,), name="features")
    # VGG16's features reach 180: as they are, the head gets far too sure of itself
    x = layers.LayerNormalization(name=f"{HEAD}normalization")(pooled)
    x = layers.Dense(dense_units, activation="relu", name=f"{HEAD}dense")(x)
    x = layers.Dropout(dropout, name=f"{HEAD}dropout")(x)
    return keras.Model(pooled, _probabilities(x, breeds))


def pool(feature_maps: keras.KerasTensor) -> keras.KerasTensor:
    """Average feature maps (n, height, width, channels) over the picture: (n, channels)."""
    return layers.GlobalAveragePooling2D(name=f"{HEAD}pool")(feature_maps)


def join(backbone: keras.Model, head: keras.Model) -> keras.Model:
    """Put a trained head on its backbone, as one flat graph that shares their weights."""
    x = pool(backbone.outputs[0])
    for layer in head.layers[1:]:
        x = layer(x)
    return keras.Model(backbone.inputs[0], x)
