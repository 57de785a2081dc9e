"""A trained model in every format, those that export does not write included: what each loses, weighs and takes.

Alone   python -m benchmarks.formats MODEL ..., .keras files, in a folder where `dvc repro` has run; one CSV row a format
Needs   data/prepared: train, on which 8 bits are calibrated, and test, about which every format is asked
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import onnx
import pandas as pd
import tensorflow as tf
from onnxruntime.quantization import QuantType, quantize_dynamic

from stages.lib.core import paths
from stages.lib.core.classifier import PROBABILITIES
from stages.lib.core.quiet import hushed
from stages.lib.datasets.pictures import find_pictures, read_picture
from stages.lib.exporting.about import INPUT
from stages.lib.exporting.conversion import to_onnx, to_tflite
from stages.lib.exporting.onnx_files import OnnxNetwork
from stages.lib.exporting.parity import compare
from stages.lib.exporting.tflite_files import TfliteNetwork
from stages.lib.inference.costs import milliseconds_a_photo
from stages.lib.inference.predictions import predict_pictures
from stages.lib.networks.graphs import for_other_runtimes
from stages.lib.networks.model_files import load_classifier

CALIBRATED_ON = 200  # training photos, evenly spaced; TensorFlow's guide to quantisation takes 100 to 500


class Uint8Network(TfliteNetwork):
    """A TensorFlow Lite network that takes uint8."""

    def predict_on_batch(self, photos: np.ndarray) -> dict[str, np.ndarray]:
        """Photos 0-255 (n, side, side, 3) to what `with_familiarity` gives."""
        return self._runner(**{INPUT: np.asarray(photos, np.uint8)})


def to_dynamic_onnx(network: bytes) -> bytes:
    """An ONNX network with weights in 8 bits, and sums in 8 bits by scales found as it runs."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "quantised.onnx")
        quantize_dynamic(onnx.load_model_from_string(network), file, weight_type=QuantType.QUInt8)
        return file.read_bytes()


def to_int8(network: keras.Model, pictures: list[Path]) -> bytes:
    """``network`` as TensorFlow Lite in 8 bits, pictures as uint8 going in, float32 coming out.

    Weights have a scale a channel, sums one a layer (Jacob et al., Quantization and training of neural networks for
    efficient integer-arithmetic-only inference, CVPR 2018, section 3), from ``pictures``.
    """
    side = network.input_shape[1]

    def examples() -> Iterator[dict[str, np.ndarray]]:
        for file in pictures:
            yield {INPUT: read_picture(file, side)[None].astype(np.float32)}

    signature = [keras.InputSpec(shape=network.input_shape, dtype="float32", name=INPUT)]
    with tempfile.TemporaryDirectory() as folder, hushed():
        for_other_runtimes(network).export(folder, verbose=False, input_signature=signature)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = examples
        # what has no kernel of 8 bits, as the search for the most familiar photo, stays in float32
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.inference_input_type = tf.uint8
        return converter.convert()


def measure(file: Path) -> Iterator[dict[str, object]]:
    """One row a format of the model in ``file``."""
    network = load_classifier(file).network
    pictures, breeds = find_pictures(paths.PREPARED / "test")
    known = np.array(load_classifier(file).breeds)
    train, _ = find_pictures(paths.PREPARED / "train")
    calibration = train[:: max(1, len(train) // CALIBRATED_ON)]
    as_onnx, (in_float32, in_float16) = to_onnx(network), to_tflite(network)
    converted: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
        "ONNX": (as_onnx, OnnxNetwork),
        "ONNX, dynamic 8 bits": (to_dynamic_onnx(as_onnx), OnnxNetwork),
        "TensorFlow Lite": (in_float32, TfliteNetwork),
        "TensorFlow Lite, float16": (in_float16, TfliteNetwork),
        "TensorFlow Lite, int8": (to_int8(network, calibration), Uint8Network),
    }
    asked = {"Keras": (network, file.stat().st_size)}
    asked |= {name: (runtime(content), len(content)) for name, (content, runtime) in converted.items()}
    expected = predict_pictures(network, pictures, "Keras")
    for name, (runtime, size) in asked.items():
        found = predict_pictures(runtime, pictures, name)
        parity = compare(expected, found, None, None, tie=0)
        yield {
            "model": file.stem,
            "format": name,
            "MB": round(size / 1e6, 1),
            "accuracy": np.mean(known[found[PROBABILITIES].argmax(axis=1)] == breeds),
            "equal answers": parity.equal_answers,
            "largest difference": parity.largest_difference,
            "of familiarity": parity.largest_difference_of_familiarity,
            "ms a photo": milliseconds_a_photo(runtime)["milliseconds_batch_1"],
        }


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help=".keras files")
    for place, file in enumerate(parser.parse_args().models):
        table = pd.DataFrame(measure(file))
        table.to_csv(sys.stdout, index=False, float_format="%.6g", header=place == 0)


if __name__ == "__main__":
    main()
