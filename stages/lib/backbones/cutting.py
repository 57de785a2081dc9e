"""Where to cut a pretrained network for fine-tuning."""

from itertools import chain

import keras

from stages.lib.core.errors import UserError


def last_layers(layers: list[keras.layers.Layer], count: int) -> list[keras.layers.Layer]:
    """The last ``count`` of ``layers`` that have weights and do not normalise.

    Normalisation is left out because it is never trained again: it goes on with the statistics of its pretraining.

    Raises `UserError` where there are fewer.
    """
    normalizing = (keras.layers.BatchNormalization, keras.layers.LayerNormalization, keras.layers.Normalization)
    weighted = [layer for layer in layers if layer.weights and not isinstance(layer, normalizing)]
    if count > len(weighted):
        raise UserError(f"finetune_layers must be at most {len(weighted)} for this backbone. Received: {count}")
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
