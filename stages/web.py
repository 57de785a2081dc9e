"""Write a folder for any static host: a page on which to drop photos and see their breeds, which needs no server.

The model runs in the visitor's browser, photos never leave it, and once loaded it works without a network. It says what
`stages.predict` says. The model is in 8 bits where that keeps at least 99.5 % of its answers about the prepared val
photos, and else as exported; what was found is printed. What test tells is told of the exported model alone.

Reads   models/exported/best.onnx, or the exported .onnx file that is asked for; data/prepared/val, if it is there;
        metrics/evaluate.json for what is known of the model; params.yaml: data.max_pixels
Makes   FOLDER; needs Node with npm, which fetches onnxruntime-web. To use the page takes neither
Run     python -m stages.web FOLDER [--model MODEL]

Exit code 0 where it is written, 1 where it can't be, 2 for options that do not exist.
"""

import argparse
from pathlib import Path
from typing import Any

from stages.lib.core import paths
from stages.lib.core.errors import UserError, run
from stages.lib.core.evaluated import read_evaluation
from stages.lib.core.params import load_params
from stages.lib.datasets.pictures import find_pictures
from stages.lib.exporting.exported import FORMATS, load_exported
from stages.lib.serving.trained_models import find_name, is_up_to_date
from stages.lib.web.folder import check_place, tell_about, write_page
from stages.lib.web.quantised import choose
from stages.lib.web.runtime import check_npm

BEST = paths.EXPORTED / FORMATS["onnx"].file
VAL = paths.PREPARED / "val"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.web", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a new one, or that of an earlier page")
    parser.add_argument("--model", type=Path, default=BEST, help=f"an exported .onnx file; {BEST} if not given")
    return parser.parse_args()


def find_scores(evaluation: dict[str, Any], name: str | None) -> dict[str, Any] | None:
    """What is known of the model ``name`` by the test photos; None where it is from elsewhere."""
    if name is None:
        return None
    scores = evaluation[name]
    intervals = {"accuracy": scores["accuracy"], "low": scores["accuracy_low"], "high": scores["accuracy_high"]}
    return {"photos": evaluation["test_photos"], "drawn": evaluation.get("drawn", False), **intervals}


def main() -> None:
    """Run the command."""
    arguments = parse_arguments()
    check_place(arguments.folder)
    check_npm()
    if arguments.model.suffix != ".onnx":
        raise UserError(f"--model must be an .onnx file, as browsers read it. Received: {arguments.model}")
    params, evaluation = load_params(), read_evaluation()
    classifier, about = load_exported(arguments.model)
    name = find_name(arguments.model, evaluation)
    known = name if name is not None and is_up_to_date(about, name, evaluation) else None
    pictures = find_pictures(VAL)[0] if VAL.is_dir() else []
    content, quantised, why = choose(arguments.model.read_bytes(), about, classifier.image_size, pictures)
    scores = None if quantised else find_scores(evaluation, known)
    told = tell_about(about, classifier.image_size, params.data.max_pixels, scores)
    megabytes = write_page(arguments.folder, content, told)
    print(f"web: {why}")
    print(f"web: {arguments.folder} has {megabytes:.1f} MB for any static host that is reached by https")


if __name__ == "__main__":
    run(main)
