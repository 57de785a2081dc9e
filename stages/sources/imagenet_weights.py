"""Fetch Keras' own ImageNet weights of the network; needs the internet.

Reads   what keras.applications downloads, checked by Keras' own hash
Makes   data/weights/<network>-imagenet.weights.h5
Alone   python -m stages.sources.imagenet_weights VGG16, or another network of Keras'
"""

from stages.lib.backbones.build import write_weights
from stages.lib.core import paths
from stages.lib.core.errors import UserError, run
from stages.lib.core.models import parse_choices
from stages.lib.core.registry import NETWORKS, OF_KERAS


def main() -> None:
    """Run the stage."""
    (name,) = parse_choices(__doc__, network=OF_KERAS)
    target = paths.WEIGHTS / f"{name}-imagenet.weights.h5"
    try:
        network = NETWORKS[name].build(include_top=False, weights="imagenet")
    except Exception as error:  # Keras raises a bare Exception where a download fails
        raise UserError(
            f"Keras could not fetch the ImageNet weights of {name}: {error}\n"
            "Without a network: fetch that address on another machine, put the file in ~/.keras/models and run again."
        ) from None
    write_weights(network, target)
    print(f"{name}'s ImageNet weights in {target}")


if __name__ == "__main__":
    run(main)
