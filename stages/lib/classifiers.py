"""The networks that are compared: RGB photos 0-255 in, one probability a breed out, preprocessing inside."""

import keras
from keras import layers

HEAD = "head_"  # how the names of the layers on top of a backbone begin


def scratch_network(image_size: int, breeds: int, dropout: float) -> keras.Model:
    """A small residual network, trained from nothing: about 1.2 million weights.

    He et al., Deep residual learning for image recognition (CVPR 2016), section 3, with four blocks and, instead of
    strided shortcuts, averaging ones (He et al., Bag of tricks, CVPR 2019, section 4.1, ResNet-D).
    """
    photo = keras.Input((image_size, image_size, 3), name="photo")
    x = layers.Rescaling(1 / 127.5, offset=-1)(photo)
    x = _convolution(x, 32, strides=2)
    x = layers.MaxPooling2D()(x)
    for filters, strides in ((32, 1), (64, 2), (128, 2), (256, 2)):
        x = _residual_block(x, filters, strides)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(photo, _probabilities(x, breeds))


def _convolution(x: keras.KerasTensor, filters: int, size: int = 3, strides: int = 1, relu: bool = True):
    x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x)
    # Keras' momentum of 0.99 averages over more steps than there are between two looks at val
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.ReLU()(x) if relu else x


def _residual_block(x: keras.KerasTensor, filters: int, strides: int) -> keras.KerasTensor:
    shortcut = x
    if strides > 1:
        shortcut = layers.AveragePooling2D(strides)(shortcut)
    if x.shape[-1] != filters:
        shortcut = _convolution(shortcut, filters, size=1, relu=False)
    x = _convolution(x, filters, strides=strides)
    x = _convolution(x, filters, relu=False)
    return layers.ReLU()(layers.Add()([x, shortcut]))


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
    x = pool(backbone.output)
    for layer in head.layers[1:]:
        x = layer(x)
    return keras.Model(backbone.input, x)
