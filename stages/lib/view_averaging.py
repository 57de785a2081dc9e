"""Asking a network about a photo and its mirror image, and taking the mean of its two answers."""

from typing import Any

import keras


def average_views(network: keras.Model, views: int) -> keras.Model:
    """A network that averages what ``network`` says of ``views`` views: 1, the photo alone, or 2, its mirror image too.

    Krizhevsky et al., ImageNet classification with deep convolutional neural networks, NIPS 2012, section 4.1, who also
    take crops.

    The graph is flat, and its layers are shared with ``network``.

    Args:
        network: photos (n, height, width, 3) to probabilities (n, breeds), one output or several.
        views: with 1, ``network`` itself is returned.
    """
    if views == 1:
        return network
    photo = keras.Input(network.inputs[0].shape[1:], dtype=network.inputs[0].dtype, name="photo")
    both = keras.ops.concatenate([photo, keras.ops.flip(photo, axis=2)], axis=0)

    def call(operation: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        args, kwargs = keras.tree.map_structure(lambda value: both if value is photo else value, (args, kwargs))
        return operation(*args, **kwargs)

    asked = keras.models.clone_model(
        keras.Model(network.inputs, network.outputs),
        input_tensors=[photo],
        clone_function=lambda layer: layer,
        call_function=call,
    )
    means = [
        keras.ops.mean(keras.ops.reshape(answers, (views, -1, answers.shape[-1])), axis=0) for answers in asked.outputs
    ]
    return keras.Model(photo, means if len(means) > 1 else means[0])
