"""Grad-CAM: which part of a photo spoke for the breed that a network named."""

import keras
import numpy as np
import tensorflow as tf


def _last_feature_maps(network: keras.Model) -> keras.KerasTensor:
    """The output of the last operation that still tells places apart: (n, height, width, channels)."""
    outputs = (operation.output for operation in reversed(network.operations))
    return next(output for output in outputs if len(output.shape) == 4)


def grad_cam(network: keras.Model, pictures: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """How much each place of each picture speaks for a class.

    Selvaraju et al., Grad-CAM (ICCV 2017), equations 1 and 2: the last feature maps, each weighted by the mean gradient
    of the class' score before softmax, summed, negative values set to 0.

    Args:
        network: photos to probabilities, one flat graph, whose last layer is dense with softmax.
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
