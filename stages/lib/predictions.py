"""The answers of several networks to the same pictures, with what they have in common computed once."""

import hashlib
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import tree
from tqdm import tqdm

from stages.lib.datasets import picture_batches

BATCH_SIZE = 32
NOT_IN_THE_RESULT = {"name", "trainable", "kernel_initializer", "bias_initializer", "rate"}  # of what a layer computes


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
    """One network with the outputs of all of ``networks``, in their order, in which equal layers run once.

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
        copy = keras.models.clone_model(
            keras.Model(network.inputs, network.outputs),
            input_tensors=[photo],
            clone_function=lambda layer: layer,
            call_function=call,
        )
        outputs += copy.outputs
    return keras.Model(photo, outputs)


def predict_pictures(joined: keras.Model, files: list[Path], what: str) -> list[np.ndarray]:
    """The probabilities that each output of ``joined`` gives: float32 (pictures, breeds), in the order of ``files``.

    Pictures are read in batches of `BATCH_SIZE`, so that memory does not grow with their number.
    """
    batches = []
    with tqdm(desc=what, total=len(files), unit="picture", mininterval=1) as bar:
        for batch in picture_batches(files, BATCH_SIZE):
            batches.append(tree.flatten(joined.predict_on_batch(batch)))
            bar.update(len(batch))
    return [np.concatenate(probabilities) for probabilities in zip(*batches, strict=True)]
