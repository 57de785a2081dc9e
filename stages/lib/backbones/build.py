"""Pretrained networks, each with its own preprocessing inside."""

import shutil
import tempfile
from pathlib import Path

import keras

from stages.lib.core.errors import UserError
from stages.lib.core.outputs import whole_file
from stages.lib.core.registry import NETWORKS


def build_backbone(name: str, image_size: int, weights: Path | None = None) -> keras.Model:
    """Build the convolutional part of a network: RGB photos 0-255 (n, image_size, image_size, 3) to feature maps.

    Its preprocessing is part of it, as layers of one flat graph, so that it can't be forgotten or done twice.
    ``weights`` is a .weights.h5 file of the same network without its top; None gives random weights.

    Raises `UserError` where the file does not fit the network.
    """
    photo = keras.Input((image_size, image_size, 3), name="photo")
    entry = NETWORKS[name]
    backbone = entry.build(include_top=False, weights=None, input_tensor=entry.preprocess(photo))
    if weights is not None:
        try:
            backbone.load_weights(weights)
        except MemoryError:
            raise
        except Exception:  # h5py and Keras stumble over a damaged file in many ways, and would print the arrays
            raise UserError(
                f"weights must be a .weights.h5 file of {name} without its top, as the stages of "
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
