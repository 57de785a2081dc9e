"""All that rebuilds a network's graph: in another precision, over two views, joined with others, for other runtimes.

Each walks the graph once more, operation by operation, with `keras.models.clone_model`; what comes out is one flat
graph again.
"""

import hashlib
import itertools
import math
from collections.abc import Callable, Hashable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES

# of what a layer's settings say, that does not change what it computes once it is trained
NOT_IN_THE_RESULT = {"name", "trainable", "kernel_initializer", "bias_initializer", "rate"}


def _share(layer: keras.Operation) -> keras.Operation:
    return layer


def _call_again(network: keras.Model, photo: keras.KerasTensor, call: Callable[..., Any]) -> keras.Model:
    """Call the operations of ``network``, its layers shared, on ``photo``; ``call`` decides how each is called."""
    return keras.models.clone_model(
        keras.Model(network.inputs, network.output),
        input_tensors=[photo],
        clone_function=_share,
        call_function=call,
    )


def in_precision(model: keras.Model, policy: str, dropout: dict[str, float] | None = None) -> keras.Model:
    """Copy a model, weights included but no optimizer, to another dtype policy; its probabilities stay float32.

    ``dropout`` gives other rates to the dropout layers that it names.
    """
    rates = dropout or {}

    def copy(layer: keras.Operation) -> keras.Operation:
        config = layer.get_config()
        if "dtype" in config and not isinstance(layer, keras.layers.InputLayer):
            config["dtype"] = "float32" if layer.name == PROBABILITIES else policy
        if layer.name in rates:
            config["rate"] = rates[layer.name]
        return layer.__class__.from_config(config)

    copied = keras.models.clone_model(model, clone_function=copy)
    copied.set_weights(model.get_weights())
    return keras.Model(copied.inputs, copied.output)  # Keras' copy of a compiled model has an optimizer too


def named(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """``x``, made by an operation of another name, as Keras' own, such as "flip", may be taken in a network."""
    x._keras_history.operation.name = name
    return x


def average_views(network: keras.Model, views: int) -> keras.Model:
    """A network that averages what ``network`` says of ``views`` views: 1, the photo alone, or 2, its mirror image too.

    Krizhevsky et al., ImageNet classification with deep convolutional neural networks, NIPS 2012, section 4.1, who also
    take crops.

    The graph is flat, and its layers are shared with ``network``.

    Args:
        network: photos (n, height, width, 3) to probabilities (n, breeds), of which means are taken, and perhaps
            familiarity (n,), which stays that of the photo itself, as known photos' is; in any structure.
        views: with 1, ``network`` itself is returned.
    """
    if views == 1:
        return network
    photo = keras.Input(network.inputs[0].shape[1:], dtype=network.inputs[0].dtype, name="photo")
    mirrored = named(keras.ops.flip(photo, axis=2), "views_mirrored")
    both = named(keras.ops.concatenate([photo, mirrored], axis=0), "views_both")

    def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = tree.map_structure(lambda value: both if value is photo else value, (args, kwargs))
        return operation(*args, **kwargs)

    numbers = itertools.count()

    def bring_together(answers: keras.KerasTensor) -> keras.KerasTensor:
        number = next(numbers)
        apart = named(keras.ops.reshape(answers, (views, -1, *answers.shape[1:])), f"views_apart_{number}")
        if len(answers.shape) == 1:
            return named(keras.ops.take(apart, 0, axis=0), f"views_first_{number}")
        return named(keras.ops.mean(apart, axis=0), f"views_mean_{number}")

    return keras.Model(photo, tree.map_structure(bring_together, _call_again(network, photo, call).output))


def _content(operation: keras.Operation) -> str:
    """The same for two operations that compute the same of the same input, bit for bit."""
    config = {key: value for key, value in operation.get_config().items() if key not in NOT_IN_THE_RESULT}
    digest = hashlib.sha256(f"{type(operation).__name__} {config}".encode())
    for weight in getattr(operation, "weights", []):
        digest.update(np.asarray(weight).tobytes())
    return digest.hexdigest()


def _arguments(arguments: Any) -> Hashable:
    def identify(value: Any) -> Hashable:
        if isinstance(value, keras.KerasTensor):
            return id(value)
        return np.asarray(value).tobytes() if hasattr(value, "shape") else repr(value)

    return str(tree.flatten(tree.map_structure(identify, arguments)))


def join_networks(networks: list[keras.Model]) -> keras.Model:
    """One network that gives a list of what each of ``networks`` gives, and in which equal layers run once.

    Layers are equal where their type, their settings, their weights to the last bit and their input are; so each
    output has the very bits that its network would give alone. Three networks on one frozen VGG16 cost little more
    than one. The layers are shared with ``networks``, whose layers get other names.
    """
    first = networks[0].inputs[0]
    photo = keras.Input(first.shape[1:], dtype=first.dtype, name="photo")
    made: dict[Hashable, Any] = {}

    def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        key = (_content(operation), _arguments((args, kwargs)))
        if key not in made:
            made[key] = operation(*args, **kwargs)
        return made[key]

    outputs = []
    for place, network in enumerate(networks):
        for operation in network.operations:
            operation.name = f"{operation.name}_{place}"  # a network may not hold a name twice
        outputs.append(_call_again(network, photo, call).output)
    return keras.Model(photo, outputs)


def only(network: keras.Model, output: str) -> keras.Model:
    """The part of ``network``, which gives a dictionary, that gives ``output``; the layers are shared."""
    return keras.Model(network.inputs[0], network.output[output])


def replace_probabilities(network: keras.Model, other: keras.Model) -> keras.Model:
    """``network`` with the probabilities of ``other``; layers that are equal in both run once, see `join_networks`.

    Args:
        network: gives `FAMILIARITY` and `PROBABILITIES` of photos, see `with_familiarity`.
        other: gives probabilities of the same photos.
    """
    joined = join_networks([only(network, FAMILIARITY), other])
    return keras.Model(joined.inputs[0], dict(zip((FAMILIARITY, PROBABILITIES), joined.output, strict=True)))


def _depthwise(layer: keras.layers.Conv2D) -> keras.layers.DepthwiseConv2D:
    """The same convolution as ``layer``, which has as many groups as channels and filters.

    Keras has XLA compile a convolution in groups, as ConvNeXt's are, and tf2onnx can't look into what is compiled.
    """
    same = ("name", "dtype", "kernel_size", "strides", "padding", "dilation_rate", "activation", "use_bias")
    config = layer.get_config()
    copied = keras.layers.DepthwiseConv2D.from_config({key: config[key] for key in same})
    copied.build(layer.input.shape)
    kernel, *bias = layer.get_weights()  # (height, width, 1, channels), where the copy has (height, width, channels, 1)
    copied.set_weights([kernel.transpose(0, 1, 3, 2), *bias])
    return copied


def _gelu(x: keras.KerasTensor) -> keras.KerasTensor:
    """GELU by the error function, as TensorFlow's own takes the complementary one, which tf2onnx does not know."""
    return 0.5 * x * (1 + keras.ops.erf(x / math.sqrt(2)))


def _normalization(layer: keras.layers.Normalization) -> keras.layers.Normalization:
    """The same layer with NumPy's arrays for TensorFlow's tensors."""
    copied = keras.layers.Normalization.from_config(layer.get_config())
    copied.build(layer.input.shape)
    copied.mean, copied.variance = np.asarray(layer.mean), np.asarray(layer.variance)
    return copied


def for_other_runtimes(network: keras.Model) -> keras.Model:
    """The same network as TensorFlow Lite and tf2onnx can take it; most of its weights are shared.

    NumPy's arrays stand for TensorFlow's tensors that are no weights: such tensors, as the mean that VGG16's
    preprocessing takes off, would become further inputs of the ONNX network. They are arguments of operations, and what
    `Normalization` layers are given. For convolutions in groups, see `_depthwise`, for ConvNeXt's GELU `_gelu`.
    """

    def copy(layer: keras.Operation) -> keras.Operation:
        if isinstance(layer, keras.layers.Conv2D) and 1 < layer.groups == layer.filters == layer.input.shape[-1]:
            return _depthwise(layer)
        if isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.gelu:
            return keras.layers.Activation(_gelu, name=layer.name, dtype=layer.dtype_policy)
        return _normalization(layer) if isinstance(layer, keras.layers.Normalization) else layer

    def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = tree.map_structure(
            lambda value: np.asarray(value) if tf.is_tensor(value) else value, (args, kwargs)
        )
        return operation(*args, **kwargs)

    return keras.models.clone_model(network, clone_function=copy, call_function=call)
