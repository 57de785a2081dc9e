"""EfficientNet-Lite, which keras.applications does not have: EfficientNets made for phones, by their authors.

Tan and Le, EfficientNet: Rethinking model scaling for convolutional neural networks (ICML 2019), as changed in
github.com/tensorflow/tpu, models/official/efficientnet/lite: no squeeze-and-excite, ReLU6 in place of swish, and stem
and top of one width however large the network is. What their training drops at random, whole blocks and a share of the
features, is not part of the networks here.
"""

import math
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

STEM, TOP = 32, 1280  # channels, in each of the networks
CLASSES = 1000  # ImageNet's
INITIALIZER = {  # settings, of which each layer makes one of its own: it has one seed for good
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_out", "distribution": "untruncated_normal"},
}


class Stage(NamedTuple):
    """A row of blocks of EfficientNet-B0; of its blocks, the first alone has the strides."""

    blocks: int
    kernel: int
    strides: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def preprocess_input(photos: keras.KerasTensor | np.ndarray) -> keras.KerasTensor | np.ndarray:
    """Red-green-blue 0-255 (n, height, width, 3) to [-0.992, 1], the same for each colour."""
    return (photos - 127.0) / 128.0


def _round_channels(channels: float) -> int:
    """The nearest multiple of 8, which the authors take the next one for where it is less than 90 %."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


def _normalize(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.BatchNormalization(epsilon=1e-3, name=name)(x)


def _convolve(x: keras.KerasTensor, channels: int, name: str, kernel: int = 1, strides: int = 1) -> keras.KerasTensor:
    convolution = layers.Conv2D(
        channels, kernel, strides, padding="same", use_bias=False, kernel_initializer=INITIALIZER, name=f"{name}conv"
    )
    return _normalize(convolution(x), f"{name}bn")


def _activate(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.ReLU(6.0, name=f"{name}activation")(x)


def _block(x: keras.KerasTensor, stage: Stage, channels: int, strides: int, name: str) -> keras.KerasTensor:
    """An inverted residual block: more channels, a convolution of each by itself, and fewer channels again."""
    start = x
    if stage.expansion > 1:
        x = _activate(_convolve(x, stage.expansion * x.shape[-1], f"{name}_expand_"), f"{name}_expand_")
    depthwise = layers.DepthwiseConv2D(
        stage.kernel, strides, padding="same", use_bias=False, depthwise_initializer=INITIALIZER, name=f"{name}_dwconv"
    )
    x = _activate(_normalize(depthwise(x), f"{name}_bn"), f"{name}_")
    x = _convolve(x, channels, f"{name}_project_")
    return layers.Add(name=f"{name}_add")([x, start]) if x.shape == start.shape else x


def _build(
    name: str,
    width: float,
    depth: float,
    size: int,
    include_top: bool,
    weights: None,
    input_tensor: keras.KerasTensor | None,
    input_shape: tuple[int, int, int] | None,
) -> keras.Model:
    """Build a network whose blocks have ``width`` times the channels of B0's, and are ``depth`` times as many."""
    if weights is not None:
        raise ValueError(f"{name} has no weights here to start from. Received: {weights=}")
    inputs = keras.Input(input_shape or (size, size, 3)) if input_tensor is None else input_tensor
    x = _activate(_convolve(inputs, STEM, "stem_", kernel=3, strides=2), "stem_")
    for number, stage in enumerate(STAGES, start=1):
        at_an_end = stage in (STAGES[0], STAGES[-1])  # which no network has more of
        for block in range(stage.blocks if at_an_end else math.ceil(depth * stage.blocks)):
            channels, strides = _round_channels(width * stage.channels), stage.strides if block == 0 else 1
            x = _block(x, stage, channels, strides, f"block{number}{chr(ord('a') + block)}")
    x = _activate(_convolve(x, TOP, "top_"), "top_")
    if include_top:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dense(CLASSES, activation="softmax", name="predictions")(x)
    return keras.Model(keras.utils.get_source_inputs(inputs), x, name=name)


def EfficientNetLite0(  # noqa: N802, as networks are called in keras.applications
    include_top: bool = True,
    weights: None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int, int, int] | None = None,
) -> keras.Model:
    """Build the network, to be called like those of keras.applications: 4.7 million weights, for 224x224 pixels.

    It takes what `preprocess_input` gives, and gives probabilities (n, 1000) of ImageNet's classes; without its top,
    feature maps (n, height, width, 1280) in [0, 6], a thirty-second of the photo's sides, rounded up. Its weights start
    at random: Keras has none to download.

    Raises `ValueError` where weights are asked for.
    """
    return _build("efficientnet-lite0", 1.0, 1.0, 224, include_top, weights, input_tensor, input_shape)


def EfficientNetLite1(  # noqa: N802
    include_top: bool = True,
    weights: None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int, int, int] | None = None,
) -> keras.Model:
    """Build the network as `EfficientNetLite0` is built: 5.4 million weights, for 240x240 pixels."""
    return _build("efficientnet-lite1", 1.0, 1.1, 240, include_top, weights, input_tensor, input_shape)


def EfficientNetLite2(  # noqa: N802
    include_top: bool = True,
    weights: None = None,
    input_tensor: keras.KerasTensor | None = None,
    input_shape: tuple[int, int, int] | None = None,
) -> keras.Model:
    """Build the network as `EfficientNetLite0` is built: 6.1 million weights, for 260x260 pixels."""
    return _build("efficientnet-lite2", 1.1, 1.2, 260, include_top, weights, input_tensor, input_shape)
