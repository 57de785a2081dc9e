"""Convert the best model to ONNX and TensorFlow Lite, and ask these about some of the test photos.

Reads   metrics/evaluate.json: which model is best, and how many views it averages; models/<best>.keras;
        data/prepared/test. evaluate has made every choice by then: nothing is fitted, chosen or scored here.
        For `export.int8`, data/prepared/train: what sums in 8 bits have to hold
Makes   data/converted: the networks, what they say of the photos, about.json;
        metrics/costs/convert.json: size, and milliseconds a photo, which differ from run to run
Alone   python -m stages.convert
"""

import numpy as np

from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.lib.core.evaluated import find_best, read_evaluation
from stages.lib.core.hashes import hash_file
from stages.lib.core.outputs import whole_folder, write_json
from stages.lib.core.params import load_params
from stages.lib.datasets.pictures import find_pictures, name_photos
from stages.lib.exporting.conversion import to_int8_tflite, to_onnx, to_tflite
from stages.lib.exporting.exported import FORMATS, RUNTIMES
from stages.lib.exporting.sampling import calibration_pictures, spread
from stages.lib.inference.costs import Asked, milliseconds_a_photo
from stages.lib.inference.predictions import predict_pictures
from stages.lib.networks.graphs import average_views
from stages.lib.networks.model_files import load_classifier

TRAIN, TEST = paths.PREPARED / "train", paths.PREPARED / "test"


def cost_of(asked: Asked, size: int) -> dict[str, float]:
    """Of a network, whose file has ``size`` bytes: its ``megabytes`` (1,000,000 bytes) and ``milliseconds_batch_1``."""
    return {"megabytes": round(size / 1e6, 1), "milliseconds_batch_1": milliseconds_a_photo(asked)}


def main() -> None:
    """Run the stage."""
    evaluation = read_evaluation()
    best, views = find_best(evaluation), evaluation["views"]
    source = paths.MODELS / f"{best}.keras"
    classifier = load_classifier(source)
    network = average_views(classifier.network, views)
    settings = load_params().export
    pictures = spread(find_pictures(TEST)[0], settings.parity_photos)
    in_float32, in_float16 = to_tflite(network)
    converted = {"onnx": to_onnx(network), "tflite": in_float32, "tflite_float16": in_float16}
    if settings.int8:
        converted["tflite_int8"] = to_int8_tflite(network, calibration_pictures(TRAIN, classifier.image_size))
    costs = {"keras": cost_of(network, source.stat().st_size)}
    with whole_folder(paths.CONVERTED) as folder:
        for name, content in converted.items():
            file = folder / FORMATS[name].file
            file.write_bytes(content)
            asked = RUNTIMES[file.suffix](content)
            np.savez(folder / f"{name}.npz", **predict_pictures(asked, pictures, name))
            costs[name] = cost_of(asked, len(content))
        about = {"model": best, "keras_sha256": hash_file(source), "views": views}
        about |= {name: value for name, value in classifier._asdict().items() if name != "network"}
        about |= {"side": classifier.image_size, "photos": name_photos(pictures, TEST), "formats": list(converted)}
        write_json(folder / "about.json", about)
    write_json(paths.COSTS / "convert.json", costs)
    milliseconds = ", ".join(f"{name} {found['milliseconds_batch_1']:.0f} ms" for name, found in costs.items())
    print(f"convert: {best}, a photo takes {milliseconds}")


if __name__ == "__main__":
    run(main)
