"""Write the best model as ONNX and as TensorFlow Lite, and make sure that these answer as it does.

Reads   metrics/evaluate.json: which model is best, its threshold for "not sure", how many views it averages;
        models/<best>.keras; data/prepared/test, on whose photos all are compared with each other. evaluate has made
        every choice by then: nothing is fitted, chosen or scored here, and the photos' breeds are not looked at
Makes   models/exported/best.onnx, best.tflite and best-float16.tflite, each with breeds and threshold inside, the
        averaging of `evaluate.views`, and the sha256 of the .keras file that it was made from;
        metrics/export.json: how far their probabilities are from Keras', and the share of equal answers;
        metrics/costs/export.json: size, and milliseconds a photo; the milliseconds differ from run to run
Alone   python -m stages.export
Fails   where an exported model gives another answer than Keras' to any photo, and it was no tie
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.lib import costs, exported, paths
from stages.lib.errors import UserError, run
from stages.lib.model_files import Classifier, load_classifier
from stages.lib.outputs import whole_folder, write_json
from stages.lib.pictures import find_pictures
from stages.lib.predictions import predict_pictures
from stages.lib.selective import is_sure
from stages.lib.trained_models import find_model, read_evaluation
from stages.lib.view_averaging import average_views

FOLDER = paths.MODELS / "exported"


class Format(NamedTuple):
    """A file to write."""

    file: str
    tie: float  # two probabilities no further apart in Keras may change places


# with float32 sums are taken in another order; float16 keeps three digits of each weight
FORMATS = {
    "onnx": Format("best.onnx", 1e-4),
    "tflite": Format("best.tflite", 1e-4),
    "tflite_float16": Format("best-float16.tflite", 1e-2),
}


class Parity(NamedTuple):
    """How an exported model's answers compare with Keras'."""

    largest_difference: float  # of a probability
    equal_answers: float  # share of the photos with the same breed, and as sure of it
    differing: np.ndarray  # the places of the photos whose answers differ and were no tie


def save_all(classifier: Classifier, about: exported.About, folder: Path) -> None:
    """Write the file of each of `FORMATS`."""
    exported.save_onnx(classifier, about, folder / FORMATS["onnx"].file)
    exported.save_tflite(classifier, about, folder / FORMATS["tflite"].file)
    exported.save_tflite(classifier, about, folder / FORMATS["tflite_float16"].file, weights="float16")


def compare(expected: np.ndarray, found: np.ndarray, threshold: float | None, tie: float) -> Parity:
    """Hold an exported model's probabilities against Keras', both (photos, breeds).

    An answer is the breed with the highest probability, and whether that reaches ``threshold``. It was a tie where
    Keras' own probabilities of the two breeds, or its confidence and the threshold, are no further apart than ``tie``.
    """
    photos = np.arange(len(expected))
    answer, other = expected.argmax(axis=1), found.argmax(axis=1)
    confidence = expected.max(axis=1)
    another_breed = answer != other
    otherwise_sure = is_sure(confidence, threshold) != is_sure(found.max(axis=1), threshold)
    differs = another_breed & (confidence - expected[photos, other] > tie) | ~np.isfinite(found).all(axis=1)
    if threshold is not None:
        differs |= otherwise_sure & (np.abs(confidence - threshold) > tie)
    return Parity(
        float(np.abs(expected - found).max()),
        float(1 - (another_breed | otherwise_sure).mean()),
        np.flatnonzero(differs),
    )


def tell_difference(file: str, photo: str, breeds: list[str], expected: np.ndarray, found: np.ndarray) -> str:
    """What the two models say of one photo, in a sentence; their probabilities are (breeds,)."""
    keras_says, it_says = (f"{breeds[each.argmax()]} ({each.max():.4f})" for each in (expected, found))
    return f"{file} answers {it_says} for {photo}, where Keras answers {keras_says}"


def main() -> None:
    """Run the stage."""
    evaluation = read_evaluation()
    source = find_model(None, evaluation)  # the best
    best, views = evaluation["best"], evaluation["views"]
    threshold = evaluation[best]["threshold"]
    classifier = load_classifier(source)
    classifier = classifier._replace(network=average_views(classifier.network, views))
    files, _ = find_pictures(paths.PREPARED / "test")
    expected = predict_pictures(classifier.network, files, "keras")[0]
    spent = {"keras": {"megabytes": round(source.stat().st_size / 1e6, 1), **time_network(classifier)}}
    parities, complaints = {}, []
    with whole_folder(FOLDER, len(FORMATS)) as folder:
        about = exported.describe(classifier, best, exported.hash_file(source), threshold, views)
        save_all(classifier, about, folder)
        for name, (file, tie) in FORMATS.items():
            again = exported.load_exported(folder / file).classifier
            found = predict_pictures(again.network, files, name)[0]
            parity = compare(expected, found, threshold, tie)
            parities[name] = {
                "largest_difference": float(f"{parity.largest_difference:.3g}"),
                "equal_answers": round(parity.equal_answers, 6),
            }
            spent[name] = {"megabytes": round((folder / file).stat().st_size / 1e6, 1), **time_network(again)}
            complaints += [
                tell_difference(file, f"{files[i].parent.name}/{files[i].stem}", again.breeds, expected[i], found[i])
                for i in parity.differing
            ]
        if complaints:
            raise UserError("\n".join(["an exported model must answer as Keras' does:", *complaints]))
    write_json(paths.METRICS / "export.json", {"model": best, "views": views, "test_photos": len(files), **parities})
    write_json(paths.COSTS / "export.json", spent)
    for name, (file, _) in FORMATS.items():
        print(f"{FOLDER / file}: {parities[name]}, {spent[name]}")


def time_network(classifier: Classifier) -> dict[str, float]:
    """The milliseconds that its network takes a photo."""
    timed = costs.milliseconds_a_photo(classifier.network)
    return {f"milliseconds_batch_{size}": round(value, 3) for size, value in timed.items()}


if __name__ == "__main__":
    run(main)
