"""Batch norm made part of the convolutions before it, which a frozen network can do without."""

from collections import Counter
from itertools import chain
from typing import Any

import keras
import numpy as np


def _weights(convolution: keras.layers.Layer, norm: keras.layers.BatchNormalization) -> list[np.ndarray]:
    """Kernel and bias of a convolution that does what ``convolution`` and then ``norm`` do."""
    kernel, *bias = convolution.get_weights()
    mean, variance = norm.moving_mean.numpy(), norm.moving_variance.numpy()
    scale = (norm.gamma.numpy() if norm.scale else 1) / np.sqrt(variance + norm.epsilon)
    shift = (norm.beta.numpy() if norm.center else 0) + (sum(bias) - mean) * scale
    depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)  # (height, width, channels, multiplier)
    return [kernel * scale.reshape(kernel.shape[2:] if depthwise else -1), shift]


def fold_batch_norm(network: keras.Model) -> keras.Model:
    """``network`` with each batch norm that follows a convolution, and it alone, folded into the convolution's weights.

    Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference (CVPR
    2018), section 3.2. What is left does the same in inference, but for rounding, in less time: EfficientNetLite2 takes
    147 photos of 260 pixels a second in bfloat16 on 2 cores, and 52 as it was (benchmarks/README.md). To train it is
    something else: the convolutions have other scales then, and biases.
    """
    nodes = list(chain.from_iterable(network._nodes_by_depth.values()))  # Keras tells the graph's edges nowhere else
    calls = Counter(node.operation for node in nodes)
    uses = Counter(parent.operation for node in nodes for parent in node.parent_nodes)
    uses.update(output._keras_history.operation for output in network.outputs)
    convolutions = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    norms = {}  # by the convolutions into which they are folded
    for node in nodes:
        if isinstance(node.operation, keras.layers.BatchNormalization):
            before = node.parent_nodes[0].operation
            linear = isinstance(before, convolutions) and before.activation is keras.activations.linear
            if linear and uses[before] == calls[before] == calls[node.operation] == 1:
                norms[before] = node.operation
    folded = {norm.name for norm in norms.values()}

    def copy(layer: keras.Operation) -> keras.Operation:
        return layer.__class__.from_config(layer.get_config() | ({"use_bias": True} if layer in norms else {}))

    def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        return args[0] if operation.name in folded else operation(*args, **kwargs)

    copied = keras.models.clone_model(network, clone_function=copy, call_function=call)
    for layer in (layer for layer in copied.layers if layer.weights):
        original = network.get_layer(layer.name)
        layer.set_weights(_weights(original, norms[original]) if original in norms else original.get_weights())
    return copied
