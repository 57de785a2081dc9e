"""Put breeds and thresholds into the converted networks, and make sure that they answer as Keras' does.

Reads   data/converted: the networks and what they say of some test photos; metrics/evaluate.json: the thresholds of the
        best model for "not sure" and "none of these breeds"; params.yaml: whose weights it started from. For the card
        metrics/prepare.json: how many photos there are, and plots/classification_report.csv: recall of each breed
Makes   models/exported/best.onnx, best.tflite and best-float16.tflite, and README.md, their card;
        metrics/export.json: how far their numbers are from Keras', and the share of equal answers
Alone   python -m stages.export
Fails   where an exported model gives another answer than Keras' to any of these photos, and it was no tie
Cost    1 s, without TensorFlow
"""

import json

import numpy as np

from stages.lib.core import paths
from stages.lib.core.errors import UserError, run
from stages.lib.core.evaluated import find_best, read_evaluation
from stages.lib.core.outputs import whole_folder, write_json
from stages.lib.core.params import load_params
from stages.lib.core.tables import read_csv
from stages.lib.exporting.about import About, describe
from stages.lib.exporting.card import write_card
from stages.lib.exporting.exported import FORMATS, LABELLERS, load_exported
from stages.lib.exporting.licences import licence_of_weights
from stages.lib.exporting.parity import compare, tell_difference


def main() -> None:
    """Run the stage."""
    evaluation = read_evaluation()
    thresholds = {name: evaluation[find_best(evaluation)][name] for name in ("threshold", "familiarity_threshold")}
    known = json.loads((paths.CONVERTED / "about.json").read_text(encoding="utf-8"))
    photos, breeds, side = known.pop("photos"), known["breeds"], known.pop("side")
    description = describe(side, breeds, known["resize"], known["prepared_size"], known["views"])
    params = load_params()
    weights = {name: backbone.weights for name, backbone in params.backbones.items()}
    licence = licence_of_weights(known["model"], params.families, weights)
    about = About(**known, licence=licence, description=description, **thresholds)
    counts = json.loads((paths.METRICS / "prepare.json").read_text(encoding="utf-8"))
    recalls = read_csv(paths.PLOTS / "classification_report.csv")
    level, source = params.evaluate.confidence_level, params.data.source
    card = write_card(about, side, source, counts, evaluation, recalls, level, len(photos))
    expected = dict(np.load(paths.CONVERTED / "keras.npz", allow_pickle=False))
    found, complaints = {}, []
    with whole_folder(paths.EXPORTED, len(FORMATS) + 1) as folder:
        (folder / "README.md").write_text(card, encoding="utf-8")
        for name, (file, tie) in FORMATS.items():
            path = folder / file
            path.write_bytes(LABELLERS[path.suffix]((paths.CONVERTED / file).read_bytes(), about))
            load_exported(path)  # which would say what is wrong with it
            answers = dict(np.load(paths.CONVERTED / f"{name}.npz", allow_pickle=False))
            parity = compare(expected, answers, **thresholds, tie=tie)
            found[name] = {
                "largest_difference": float(f"{parity.largest_difference:.3g}"),
                "largest_difference_of_familiarity": float(f"{parity.largest_difference_of_familiarity:.3g}"),
                "equal_answers": round(parity.equal_answers, 6),
            }
            complaints += [tell_difference(file, photos, breeds, expected, answers, i) for i in parity.differing]
        if complaints:
            raise UserError("\n".join(["an exported model must answer as Keras' does:", *complaints]))
    tested = {"model": about.model, "views": about.views, "parity_photos": len(photos)}
    write_json(paths.METRICS / "export.json", {**tested, **found})
    print(f"export: {', '.join(file for file, _ in FORMATS.values())} answer as {about.model} does")


if __name__ == "__main__":
    run(main)
