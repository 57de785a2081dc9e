"""Grad-CAM: which part of a photo spoke for the breed that a network named."""

import keras
import numpy as np
import tensorflow as tf
from matplotlib import colormaps
from PIL import Image

OPACITY = 0.5  # of the heat over the photo


def _last_feature_maps(network: keras.Model) -> keras.KerasTensor:
    """The output of the last operation that still tells places apart: (n, height, width, channels)."""
    outputs = (operation.output for operation in reversed(network.operations))
    return next(output for output in outputs if len(output.shape) == 4)


def grad_cam(network: keras.Model, pictures: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """How much each place of each picture speaks for a class.

    Selvaraju et al., Grad-CAM (ICCV 2017), equations 1 and 2: the last feature maps, each weighted by the mean gradient
    of the class' score before softmax, summed, negative values set to 0.

    Args:
        network: as it is saved: one flat graph, whose last layer is dense with softmax.
        pictures: uint8 (n, side, side, 3).
        classes: int (n,), the class to explain of each picture.

    Returns:
        float32 (n, height, width) in the resolution of the last feature maps, each scaled to a maximum of 1; all 0
        where nothing speaks for the class.
    """
    last = network.layers[-1]
    both = keras.Model(network.inputs, [_last_feature_maps(network), last.input])
    photos = tf.constant(pictures, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(photos)  # so that all that follows from them is recorded, also where nothing is trainable
        maps, inputs = both([photos], training=False)
        scores = keras.ops.matmul(inputs, last.kernel) + last.bias
        chosen = tf.gather(scores, classes, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(chosen, maps), axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * maps, axis=-1)).numpy()
    peaks = heat.max(axis=(1, 2), keepdims=True)
    return heat / np.where(peaks > 0, peaks, 1)


def overlay(picture: np.ndarray, heat: np.ndarray) -> Image.Image:
    """Lay heat (height, width) in [0, 1] over a picture (side, side, 3): dark where nothing, yellow where most."""
    photo = Image.fromarray(picture)
    enlarged = Image.fromarray(heat.astype(np.float32)).resize(photo.size, Image.Resampling.BILINEAR)
    # viridis: its brightness rises all the way, so that colour-blind people and a printer in grey can tell
    colours = colormaps["viridis"](np.clip(np.asarray(enlarged), 0, 1))[..., :3]
    return Image.blend(photo, Image.fromarray((255 * colours).astype(np.uint8)), OPACITY)
