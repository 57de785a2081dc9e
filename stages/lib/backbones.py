"""Pretrained networks, each with its own preprocessing inside, and where to cut them for fine-tuning."""

import shutil
import tempfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import keras
from keras import applications

from stages.lib.errors import UserError
from stages.lib.outputs import whole_file


class Family(NamedTuple):
    """How to build a network of keras.applications, and what it wants done to the pixels."""

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


def _transforms(layer: keras.Operation) -> bool:
    """Whether a layer has weights and does more with them than normalise."""
    normalizing = (keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.Normalization)
    return isinstance(layer, keras.Layer) and bool(layer.weights) and not isinstance(layer, normalizing)


def last_layers(layers: list[keras.layers.Layer], count: int) -> list[keras.layers.Layer]:
    """The last ``count`` of ``layers`` that have weights and do not normalise.

    Normalisation is left out because it is never trained again: it goes on with the statistics of its pretraining.

    Raises `UserError` where there are fewer.
    """
    weighted = [layer for layer in layers if _transforms(layer)]
    if count > len(weighted):
        raise UserError(f"finetune.layers must be at most {len(weighted)} for this backbone. Received: {count}")
    return weighted[-count:]


def passages(model: keras.Model) -> list[keras.Operation]:
    """The operations of ``model`` that every path from its inputs to its outputs passes, in order.

    In a network without branches these are all; in a residual one, those between two blocks.
    """
    operations = model.operations  # in an order in which each stands after those that it takes input from
    position = {operation: index for index, operation in enumerate(operations)}
    last_use = dict.fromkeys(operations, 0)
    for node in chain.from_iterable(model._nodes_by_depth.values()):  # Keras tells the graph's edges nowhere else
        for parent in node.parent_nodes:
            last_use[parent.operation] = max(last_use[parent.operation], position[node.operation])
    found, reach = [], 0
    for operation in operations:
        if reach <= position[operation]:  # nothing before it is used after it
            found.append(operation)
        reach = max(reach, last_use[operation])
    return found


def cut_below(model: keras.Model, layers: list[keras.layers.Layer]) -> keras.Operation:
    """The last operation of ``model`` that every path passes before it reaches any of ``layers``.

    What lies up to it never changes while ``layers`` train, so it has to be computed once only.
    """
    operations = model.operations
    first = min(operations.index(layer) for layer in layers)
    return [passage for passage in passages(model) if operations.index(passage) < first][-1]


def entrance_of_last_scale(backbone: keras.Model) -> keras.KerasTensor:
    """The feature maps (n, height, width, channels) with which ``backbone`` enters the last size that it convolves.

    They are normalised and activated where it does that before it convolves. In VGG16 it is the output of block4_pool,
    on which block5 works.
    """
    size = last_layers(backbone.layers, 1)[0].output.shape[1:3]
    first = next(passage for passage in passages(backbone) if passage.output.shape[1:3] == size)
    after = backbone.operations[backbone.operations.index(first) + 1 :]
    return cut_below(backbone, [next(operation for operation in after if _transforms(operation))]).output
