"""The pretrained networks that params.yaml may name: another one is a line here, and a file if Keras lacks it."""

import pkgutil
from typing import Any, NamedTuple


class Network(NamedTuple):
    """Where a network is, as module:function, so that to check params.yaml loads no TensorFlow."""

    builder: str  # builds it, in the way of keras.applications
    preprocessing: str  # does to the pixels what it wants done

    def build(self, **options: Any) -> Any:
        """Build the network, a `keras.Model`; ``options`` are those of keras.applications."""
        return pkgutil.resolve_name(self.builder)(**options)

    def preprocess(self, photos: Any) -> Any:
        """Do to ``photos``, RGB 0-255 (n, height, width, 3), what the network wants done."""
        return pkgutil.resolve_name(self.preprocessing)(photos)


_KERAS = "keras.applications"
_LITE = "stages.lib.backbones.efficientnet_lite"
NETWORKS = {
    "VGG16": Network(f"{_KERAS}:VGG16", f"{_KERAS}.vgg16:preprocess_input"),
    "VGG19": Network(f"{_KERAS}:VGG19", f"{_KERAS}.vgg19:preprocess_input"),
    "ResNet50V2": Network(f"{_KERAS}:ResNet50V2", f"{_KERAS}.resnet_v2:preprocess_input"),
    "MobileNetV3Large": Network(f"{_KERAS}:MobileNetV3Large", f"{_KERAS}.mobilenet_v3:preprocess_input"),
    "EfficientNetV2B0": Network(f"{_KERAS}:EfficientNetV2B0", f"{_KERAS}.efficientnet_v2:preprocess_input"),
    "ConvNeXtTiny": Network(f"{_KERAS}:ConvNeXtTiny", f"{_KERAS}.convnext:preprocess_input"),
    "DenseNet121": Network(f"{_KERAS}:DenseNet121", f"{_KERAS}.densenet:preprocess_input"),
    "EfficientNetLite0": Network(f"{_LITE}:EfficientNetLite0", f"{_LITE}:preprocess_input"),
    "EfficientNetLite1": Network(f"{_LITE}:EfficientNetLite1", f"{_LITE}:preprocess_input"),
    "EfficientNetLite2": Network(f"{_LITE}:EfficientNetLite2", f"{_LITE}:preprocess_input"),
}
OF_KERAS = [name for name, each in NETWORKS.items() if each.builder.startswith(_KERAS)]  # can be downloaded
