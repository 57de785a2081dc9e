"""Keras' networks in other formats: ONNX and TensorFlow Lite.

All take photos under the name "photo", (n, side, side, 3), red-green-blue 0-255, any number at once, as float32 where
nothing else is said, and give under the names of Keras' outputs what it does, see `with_familiarity`.
"""

import contextlib
import functools
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from onnx.tools.update_model_dims import update_inputs_outputs_dims

from stages.lib.exporting.about import INPUT
from stages.lib.networks.graphs import for_other_runtimes

OPSET = 15  # runtimes from 2021 on know it


@functools.lru_cache(maxsize=1)  # all formats are made of one graph, which takes a second to trace
def _as_function(network: keras.Model) -> tuple[keras.Model, Any]:
    """``network``, whose weights stay as they are from now on, as other runtimes can take it, and a function of it."""
    network = for_other_runtimes(network)
    return network, tf.function(network, input_signature=[tf.TensorSpec(network.input_shape, name=INPUT)])


def _put_in_order(graph: onnx.GraphProto) -> None:
    """Sort and name what ``graph`` holds by how its outputs come about.

    tf2onnx goes through sets of names, so that the order of the nodes, and which of two equal constants it keeps, would
    differ from one process to the next.
    """
    made_by = {value: node for node in graph.node for value in node.output}
    constants = {constant.name: constant for constant in graph.initializer}
    nodes, seen = [], set()
    waiting = [(made_by[output.name], False) for output in reversed(graph.output)]
    while waiting:
        node, has_its_inputs = waiting.pop()
        if has_its_inputs:
            nodes.append(node)
        elif node.output[0] not in seen:
            seen.add(node.output[0])
            waiting.append((node, True))
            waiting += [(made_by[value], False) for value in reversed(node.input) if value in made_by]
    names = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}  # an input that is left out
    used = []
    for number, node in enumerate(nodes):
        node.name = f"{node.op_type}_{number}"
        for place, value in enumerate(node.input):
            if value not in names:
                names[value] = constants[value].name = f"{node.name}_constant_{place}"
                used.append(constants[value])
        for place, value in enumerate(node.output):
            names.setdefault(value, f"{node.name}_output_{place}")
        node.input[:] = [names[value] for value in node.input]
        node.output[:] = [names[value] for value in node.output]
    ordered = onnx.helper.make_graph(nodes, graph.name, graph.input, graph.output, used)
    graph.CopyFrom(ordered)


def to_onnx(network: keras.Model) -> bytes:
    """``network`` as ONNX, in float32; the same bytes each time."""
    _, function = _as_function(network)
    proto, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=OPSET)
    _, *photo = network.input_shape
    outputs = {name: ["batch", *output.shape[1:]] for name, output in network.output.items()}
    proto = update_inputs_outputs_dims(proto, {INPUT: ["batch", *photo]}, outputs)
    _put_in_order(proto.graph)
    return proto.SerializeToString(deterministic=True)


@contextlib.contextmanager
def _tflite_converter(network: keras.Model) -> Iterator[tf.lite.TFLiteConverter]:
    """TensorFlow's converter of ``network``, to TensorFlow Lite's own operations, so that its plain runtime will do.

    It reads a SavedModel of the graph and its weights alone: Keras' own export writes all that it takes to train on, in
    several times the time.
    """
    network, function = _as_function(network)
    module = tf.Module()
    module.kept = [weight.value for weight in network.weights]
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=function.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        yield converter


def to_tflite(network: keras.Model) -> tuple[bytes, bytes]:
    """``network`` as TensorFlow Lite, its weights as float32 and as float16.

    With float16 the file is half as large; what is computed is float32 all the same where the processor has no float16.
    """
    with _tflite_converter(network) as converter:
        in_float32 = converter.convert()
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
        return in_float32, converter.convert()


def to_int8_tflite(network: keras.Model, pictures: np.ndarray) -> bytes:
    """``network`` as TensorFlow Lite in 8 bits, which takes photos as uint8 and gives float32.

    Weights have a scale a channel, sums one a layer, from what ``pictures`` give: Jacob et al., Quantization and
    training of neural networks for efficient integer-arithmetic-only inference, CVPR 2018, section 2. What has no
    kernel of 8 bits stays in float32.

    Args:
        network: takes photos 0-255 (n, side, side, 3).
        pictures: uint8 (count, side, side, 3), of training; 100 or more, TensorFlow's guide to quantisation says.
    """
    with _tflite_converter(network) as converter, warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=r"\s*Warning: tf\.lite\.Interpreter is deprecated", category=UserWarning
        )
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ({INPUT: picture[None].astype(np.float32)} for picture in pictures)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.inference_input_type = tf.uint8
        return converter.convert()
