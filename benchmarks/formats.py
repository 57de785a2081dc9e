"""A trained model in every format, those that export does not write included: what each loses, weighs and takes.

Alone   python -m benchmarks.formats MODEL ..., .keras files, in a folder where `dvc repro` has run; prints CSV
Needs   data/prepared: train, on which 8 bits are calibrated, and test, about which every format is asked
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from stages.lib.core import paths
from stages.lib.core.classifier import PROBABILITIES
from stages.lib.datasets.pictures import find_pictures
from stages.lib.exporting.conversion import to_int8_tflite, to_onnx, to_tflite
from stages.lib.exporting.onnx_files import OnnxNetwork
from stages.lib.exporting.parity import compare
from stages.lib.exporting.sampling import calibration_pictures
from stages.lib.exporting.tflite_files import TfliteNetwork
from stages.lib.inference.costs import milliseconds_a_photo
from stages.lib.inference.predictions import predict_pictures
from stages.lib.networks.model_files import load_classifier
from stages.lib.web.quantised import quantise


def measure(file: Path) -> Iterator[dict[str, object]]:
    """One row a format of the model in ``file``."""
    classifier = load_classifier(file)
    network, known = classifier.network, np.array(classifier.breeds)
    pictures, breeds = find_pictures(paths.PREPARED / "test")
    calibration = calibration_pictures(paths.PREPARED / "train", network.input_shape[1])
    as_onnx, (in_float32, in_float16) = to_onnx(network), to_tflite(network)
    converted: dict[str, tuple[bytes, Callable[[bytes], object]]] = {
        "ONNX": (as_onnx, OnnxNetwork),
        "ONNX, dynamic 8 bits": (quantise(as_onnx), OnnxNetwork),
        "TensorFlow Lite": (in_float32, TfliteNetwork),
        "TensorFlow Lite, float16": (in_float16, TfliteNetwork),
        "TensorFlow Lite, int8": (to_int8_tflite(network, calibration), TfliteNetwork),
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
            "ms a photo": milliseconds_a_photo(runtime),
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
