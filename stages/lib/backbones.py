"""Pretrained networks, each with its own preprocessing inside, and where to cut them for fine-tuning."""

import shutil
import tempfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import keras
from keras import applications

from stages.lib import squeezenet
from stages.lib.errors import UserError
from stages.lib.outputs import whole_file


class Family(NamedTuple):
    """How to build a network, in the way of keras.applications, and what it wants done to the pixels."""

    build: Callable[..., keras.Model]
    preprocess: Callable


BACKBONES = {
    "VGG16": Family(applications.VGG16, applications.vgg16.preprocess_input),
    "VGG19": Family(applications.VGG19, applications.vgg19.preprocess_input),
    "ResNet50V2": Family(applications.ResNet50V2, applications.resnet_v2.preprocess_input),
    "MobileNetV3Large": Family(applications.MobileNetV3Large, applications.mobilenet_v3.preprocess_input),
    "EfficientNetV2B0": Family(applications.EfficientNetV2B0, applications.efficientnet_v2.preprocess_input),
    "ConvNeXtTiny": Family(applications.ConvNeXtTiny, applications.convnext.preprocess_input),
    "DenseNet121": Family(applications.DenseNet121, applications.densenet.preprocess_input),
    "SqueezeNet": Family(squeezenet.SqueezeNet, squeezenet.preprocess_input),
}


def build_backbone(name: str, image_size: int, weights: Path | None = None) -> keras.Model:
    """Build the convolutional part of a network: RGB photos 0-255 (n, image_size, image_size, 3) to feature maps.

    Its preprocessing is part of it, as layers of one flat graph, so that it can't be forgotten or done twice.
    ``weights`` is a .weights.h5 file of the same network without its top; None gives random weights.

    Raises `UserError` where the file does not fit the network.
    """
    photo = keras.Input((image_size, image_size, 3), name="photo")
    family = BACKBONES[name]
    backbone = family.build(include_top=False, weights=None, input_tensor=family.preprocess(photo))
    if weights is not None:
        try:
            backbone.load_weights(weights)
        except MemoryError:
            raise
        except Exception:  # h5py and Keras stumble over a damaged file in many ways, and would print the arrays
            raise UserError(
                f"backbone.weights must be a .weights.h5 file of {name} without its top, as the stages of "
                f"data/dvc.yaml make it. Received: {weights}, which does not fit."
            ) from None
    return backbone


def write_weights(network: keras.Model, path: Path) -> None:
    """Write a network's weights to ``path``, a .weights.h5 file for `build_backbone`."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "network.weights.h5"  # Keras insists on the name's end
        network.save_weights(saved)
        with whole_file(path) as partial:
            shutil.copyfile(saved, partial)


def last_layers(layers: list[keras.layers.Layer], count: int) -> list[keras.layers.Layer]:
    """The last ``count`` of ``layers`` that have weights and do not normalise.

    Normalisation is left out because it is never trained again: it goes on with the statistics of its pretraining.

    Raises `UserError` where there are fewer.
    """
    normalizing = (keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.Normalization)
    weighted = [layer for layer in layers if layer.weights and not isinstance(layer, normalizing)]
    if count > len(weighted):
        raise UserError(f"finetune.layers must be at most {len(weighted)} for this backbone. Received: {count}")
    return weighted[-count:]


def cut_below(model: keras.Model, layers: list[keras.layers.Layer]) -> keras.Operation:
    """The last operation of ``model`` that every path passes before it reaches any of ``layers``.

    What lies up to it never changes while ``layers`` train, so it has to be computed once only. In a network without
    branches it is the layer before the first of ``layers``; in a residual one, the end of the block before.
    """
    operations = model.operations  # in an order in which each stands after those that it takes input from
    position = {operation: index for index, operation in enumerate(operations)}
    last_use = dict.fromkeys(operations, 0)
    for node in chain.from_iterable(model._nodes_by_depth.values()):  # Keras tells the graph's edges nowhere else
        for parent in node.parent_nodes:
            last_use[parent.operation] = max(last_use[parent.operation], position[node.operation])
    cut, reach = operations[0], 0
    for operation in operations[: min(position[layer] for layer in layers)]:
        if reach <= position[operation]:  # nothing before it is used after it
            cut = operation
        reach = max(reach, last_use[operation])
    return cut
