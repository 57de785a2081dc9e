"""Put breeds and thresholds into the converted networks, and make sure that they answer as Keras' does.

Reads   data/converted: the networks and what they say of some test photos; data/predictions: what Keras' does;
        metrics/evaluate.json: the thresholds of the best model for "not sure" and "none of these breeds"; params.yaml:
        whose weights it started from. For the card metrics/prepare.json: how many photos there are, and
        plots/classification_report.csv: recall of each breed
Makes   models/exported/best.onnx, best.tflite, best-float16.tflite, with `export.int8` best-int8.tflite, and
        README.md, their card;
        metrics/export.json: how far their numbers are from Keras', and the share of equal answers
Alone   python -m stages.export
Fails   where an exported model but that in 8 bits gives another answer than Keras' to any of these photos, and it was
        no tie
Cost    1 s, without TensorFlow
"""

import json

import numpy as np

from stages.lib.core import paths
from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.core.errors import UserError, run
from stages.lib.core.evaluated import find_best, read_evaluation
from stages.lib.core.models import SCRATCH_FAMILY, find_backbone
from stages.lib.core.outputs import whole_folder, write_json
from stages.lib.core.params import load_params
from stages.lib.core.prose import percent
from stages.lib.core.tables import read_csv
from stages.lib.datasets.predictions import read_models, read_predictions
from stages.lib.exporting.about import About, describe
from stages.lib.exporting.card import write_card
from stages.lib.exporting.exported import FORMATS, LABELLERS, load_exported
from stages.lib.exporting.licences import licence_of_weights
from stages.lib.exporting.parity import Parity, compare, tell_difference


def read_answers_of_keras(family: str, about: About, photos: list[str]) -> dict[str, np.ndarray]:
    """What the model that ``about`` is of, one of ``family``, answered about these of the test photos.

    Raises `UserError` where another one was asked, as may be where stages are run one by one.
    """
    model = about.model
    if read_models([family])[model]["sha256"] != about.keras_sha256:
        raise UserError(f"{paths.PREDICTIONS} is of another {model} than {paths.CONVERTED}: run `dvc repro`.")
    asked = read_predictions({family: (model,)}, "test")
    places = [asked.photos.index(photo) for photo in photos]
    return {PROBABILITIES: asked.probabilities[model][places], FAMILIARITY: asked.familiarity[model][places]}


def summarise(parity: Parity) -> dict[str, float]:
    """What metrics/export.json tells of a format."""
    return {
        "largest_difference": float(f"{parity.largest_difference:.3g}"),
        "largest_difference_of_familiarity": float(f"{parity.largest_difference_of_familiarity:.3g}"),
        "equal_answers": round(parity.equal_answers, 6),
    }


def main() -> None:
    """Run the stage."""
    evaluation = read_evaluation()
    thresholds = {name: evaluation[find_best(evaluation)][name] for name in ("threshold", "familiarity_threshold")}
    known = json.loads((paths.CONVERTED / "about.json").read_text(encoding="utf-8"))
    photos, breeds, side = known.pop("photos"), known["breeds"], known.pop("side")
    formats = {name: FORMATS[name] for name in known.pop("formats")}
    form = side, breeds, known["resize"], known["prepared_size"], known["views"]
    params = load_params()
    weights = {name: backbone.weights for name, backbone in params.backbones.items()}
    licence = licence_of_weights(known["model"], params.families, weights)
    about = About(**known, licence=licence, description=describe(*form), **thresholds)
    counts = json.loads((paths.METRICS / "prepare.json").read_text(encoding="utf-8"))
    recalls = read_csv(paths.PLOTS / "classification_report.csv")
    level, source = params.evaluate.confidence_level, params.data.source
    family = find_backbone(about.model, params.families) or SCRATCH_FAMILY
    expected = read_answers_of_keras(family, about, photos)
    found, complaints = {}, []
    with whole_folder(paths.EXPORTED, len(formats) + 1) as folder:
        for name, (file, tie, dtype) in formats.items():
            path, labelled = folder / file, about.model_copy(update={"description": describe(*form, dtype)})
            path.write_bytes(LABELLERS[path.suffix]((paths.CONVERTED / file).read_bytes(), labelled))
            load_exported(path)  # which would say what is wrong with it
            answers = dict(np.load(paths.CONVERTED / f"{name}.npz", allow_pickle=False))
            parity = compare(expected, answers, **thresholds, tie=tie)
            found[name] = summarise(parity)
            complaints += [tell_difference(file, photos, breeds, expected, answers, i) for i in parity.differing]
        if complaints:
            raise UserError("\n".join(["an exported model must answer as Keras' does:", *complaints]))
        in_8_bits = found.get("tflite_int8", {}).get("equal_answers")
        card = write_card(about, side, source, counts, evaluation, recalls, level, len(photos), in_8_bits)
        (folder / "README.md").write_text(card, encoding="utf-8")
    tested = {"model": about.model, "views": about.views, "parity_photos": len(photos)}
    write_json(paths.METRICS / "export.json", {**tested, **found})
    alike = [each.file for name, each in formats.items() if name != "tflite_int8"]
    told = "" if in_8_bits is None else f", {formats['tflite_int8'].file} to {percent(in_8_bits)} of them"
    print(f"export: {', '.join(alike)} answer as {about.model} does to {len(photos)} test photos{told}")


if __name__ == "__main__":
    run(main)
