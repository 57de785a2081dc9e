"""SqueezeNet 1.1, which keras.applications does not have: Iandola et al., SqueezeNet (arXiv:1602.07360, 2016).

As in its authors' Caffe files (github.com/forresti/SqueezeNet, SqueezeNet_v1.1/train_val.prototxt), on which its
weights were trained: photos of 227x227 pixels, blue-green-red minus a mean a colour.
"""

import keras
import numpy as np
from keras import layers, ops

MEAN = np.array([104, 117, 123], np.float32)  # of blue, green and red


def preprocess_input(photos: keras.KerasTensor | np.ndarray) -> keras.KerasTensor:
    """Red-green-blue 0-255 (n, height, width, 3) to blue-green-red minus `MEAN`, not scaled."""
    return ops.flip(photos, axis=-1) - MEAN


def _max_pool(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """The largest of each 3x3, every second; a last one that sticks out over the edge counts, as Caffe rounds up.

    In Keras' terms that is "same" for an even side and "valid" for an odd one, which nothing sticks out of.
    """
    height, width = (size % 2 for size in x.shape[1:3])
    if height != width:
        raise ValueError(f"SqueezeNet takes square photos. Received: {x.shape[1]}x{x.shape[2]} feature maps")
    return layers.MaxPooling2D(3, strides=2, padding="valid" if height else "same", name=name)(x)


def _fire(x: keras.KerasTensor, squeeze: int, expand: int, name: str) -> keras.KerasTensor:
    """A fire module (section 3.2): few channels out of many, then 1x1 and 3x3 convolutions of these side by side."""
    x = layers.Conv2D(squeeze, 1, activation="relu", name=f"{name}_squeeze1x1")(x)
    small = layers.Conv2D(expand, 1, activation="relu", name=f"{name}_expand1x1")(x)
    large = layers.Conv2D(expand, 3, padding="same", activation="relu", name=f"{name}_expand3x3")(x)
    return layers.Concatenate(name=f"{name}_concat")([small, large])


def SqueezeNet(  # noqa: N802, as networks are called in keras.applications
    include_top: bool = False,
    weights: None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int, int, int] = (227, 227, 3),
) -> keras.Model:
    """Build the network without its top, to be called like those of keras.applications: 0.7 million weights.

    It gives feature maps (n, height, width, 512), a sixteenth of the photo's sides. Its weights start at random:
    Keras has none to download.

    Raises `ValueError` where a top or weights are asked for, or the photos are not square.
    """
    if include_top or weights is not None:
        raise ValueError(f"SqueezeNet has neither a top nor weights here. Received: {include_top=}, {weights=}")
    inputs = keras.Input(input_shape) if input_tensor is None else input_tensor
    x = layers.Conv2D(64, 3, strides=2, activation="relu", name="conv1")(inputs)
    x = _max_pool(x, "pool1")
    x = _fire(x, 16, 64, "fire2")
    x = _fire(x, 16, 64, "fire3")
    x = _max_pool(x, "pool3")
    x = _fire(x, 32, 128, "fire4")
    x = _fire(x, 32, 128, "fire5")
    x = _max_pool(x, "pool5")
    x = _fire(x, 48, 192, "fire6")
    x = _fire(x, 48, 192, "fire7")
    x = _fire(x, 64, 256, "fire8")
    x = _fire(x, 64, 256, "fire9")
    return keras.Model(keras.utils.get_source_inputs(inputs), x, name="squeezenet")
