"""Under which licence a model's pretrained weights are."""

from collections.abc import Mapping
from pathlib import Path

from stages.lib.core.models import find_backbone

# by the file that a stage of data/dvc.yaml makes, as the package says that they come from (SPDX)
OF_FILES = {
    "EfficientNetLite0-bundled.weights.h5": "Apache-2.0",
    "EfficientNetLite1-bundled.weights.h5": "Apache-2.0",
    "EfficientNetLite2-bundled.weights.h5": "Apache-2.0",
    "VGG16-bundled.weights.h5": "MIT",
}


def licence_of_weights(model: str, families: Mapping[str, tuple[str, ...]], weights: Mapping[str, str]) -> str:
    """The licence as SPDX names it, or in words where it is not known here.

    Args:
        model: its name.
        families: the models by what they have in common, see `list_families`.
        weights: of each backbone, `backbones.<backbone>.weights`.
    """
    backbone = find_backbone(model, families)
    if backbone is None:
        return "no pretrained weights"
    file = Path(weights[backbone]).name
    return OF_FILES.get(file, f"that of the pretrained weights in {file}, see where they came from")
