"""Tell the breed of photos: each one's breeds with their probabilities, best first; of many breeds, the best 5.

Where a photo is less familiar than all but a share of `evaluate.turned_away` of known photos, it says "none of these
breeds"; where the highest probability is below the model's threshold, "not sure". It lists the breeds all the same. The
threshold is what evaluate found on val for `evaluate.target_accuracy`; a model from elsewhere has none.

Reads   models/<best>.keras, where metrics/evaluate.json says which is best, or the model that is asked for; and from
        metrics/evaluate.json the model's thresholds. An exported model, .onnx or .tflite, has its thresholds inside;
        models/exported/best.onnx answers for the best one where it was made of it, as it takes no TensorFlow to load
Run     python -m stages.predict PHOTO_OR_FOLDER ... [--model MODEL] [--json]

Photos are told as they are answered. Exit code 0 where every photo could be read, 1 where something could not (the
other photos are told all the same), 2 for options that do not exist. Where it has to break off, the code is 1, too, and
the JSON has no end; the last line on stderr says why.
"""

import argparse
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stages.lib.core.classifier import Classifier
from stages.lib.core.errors import run
from stages.lib.core.evaluated import read_evaluation
from stages.lib.core.params import load_params
from stages.lib.core.progress import Progress
from stages.lib.engines.engine import Engine, start_engine
from stages.lib.serving.answers import Fault, answer_in_batches, list_files
from stages.lib.serving.trained_models import (
    HELP,
    NONE_OF_THESE,
    Threshold,
    Trained,
    find_export,
    find_model,
    load_model,
)

BY_KERAS = "no exported file is of this model, so Keras answers, which takes seconds to load"
BAR = 20  # characters
PRINTED = 10  # breeds, if there are no more
BEST = 5  # that are printed of more
BATCH_SIZE = 8  # onnxruntime is a twelfth faster than with 32


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.predict", description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="a photo, or a folder of photos")
    parser.add_argument("--model", help=HELP)
    parser.add_argument("--json", action="store_true", help="print JSON, with all breeds")
    return parser.parse_args()


def predict(
    trained: Trained, files: list[Path], max_pixels: int, engine: Engine
) -> Iterator[tuple[list[dict[str, Any]], list[Fault]]]:
    """Answer ``files`` batch by batch: the `answer` to each photo, and the files that are no photos.

    Of more than one batch, a progress bar on stderr tells how far it is; not where stdout is a terminal, as the answers
    that appear there tell as much.

    Raises `UserError` as `Engine` does.
    """

    familiarity, threshold = trained.familiarity, trained.threshold

    def ask(classifier: Classifier, files: list[Path]) -> Iterator[tuple[list[dict[str, Any]], list[Fault]]]:
        for batch in answer_in_batches(classifier, files, max_pixels, familiarity, threshold, BATCH_SIZE):
            yield batch.answers, batch.faults  # without its pictures, which may come from another machine

    quiet = len(files) <= BATCH_SIZE or sys.stdout.isatty()
    with Progress(desc="predict", total=len(files), unit="photo", disable=quiet) as bar:
        for answers, faults in engine.batches(trained.classifier, ask, [files], BATCH_SIZE):
            yield answers, faults
            bar.update(len(answers) + len(faults))


def print_answers(answers: list[dict[str, Any]], threshold: Threshold | None) -> None:
    """Print each photo's breeds with bars: all of `PRINTED` at most, of more the `BEST` and how many are left."""
    for answer in answers:
        print(answer["photo"])
        if answer["unknown"]:
            print(f"  {NONE_OF_THESE}")
        elif threshold is not None and answer["sure"] is False:
            print(f"  {threshold.in_words()}")
        breeds = answer["breeds"]
        printed = breeds if len(breeds) <= PRINTED else breeds[:BEST]
        width = max(len(row["breed"]) for row in printed)
        for row in printed:
            bar = "█" * round(BAR * row["probability"])
            print(f"  {row['breed']:<{width}}  {row['probability']:6.1%}  {bar}".rstrip())
        if len(printed) < len(breeds):
            rest = sum(row["probability"] for row in breeds[BEST:])
            print(f"  and {len(breeds) - BEST} more with {rest:.1%} together")


class JsonList:
    """Prints a list, a few members at a time, as `json.dumps` with an indent of 2 would all of it."""

    def __init__(self) -> None:
        self._printed = 0

    def print(self, members: list[dict[str, Any]]) -> None:
        """Print some more members."""
        for member in members:
            text = json.dumps(member, indent=2, ensure_ascii=False).replace("\n", "\n  ")
            print("[\n  " if self._printed == 0 else ",\n  ", text, sep="", end="")
            self._printed += 1

    def end(self) -> None:
        """Close the list."""
        print("\n]" if self._printed else "[]")


def answer_all(arguments: argparse.Namespace) -> list[Fault]:
    """Answer and print what the command line asks for; give the files that are no photos.

    Raises `UserError` where there is no such model, or the engine can't work, and `BrokenPipeError` where nobody reads
    stdout.
    """
    params = load_params()
    files = list_files(arguments.photos)
    evaluation = read_evaluation()
    path = find_model(arguments.model, evaluation, params.models)
    share = params.evaluate.turned_away
    # whoever names a file is answered by that file
    by_name = arguments.model is None or arguments.model in params.models
    trained = find_export(path, evaluation, share) if by_name else None
    if trained is None:
        if arguments.model is None and path.exists():
            print(BY_KERAS, file=sys.stderr)
        trained = load_model(path, evaluation, share)
    printed, faults = JsonList(), []
    with start_engine(params.compute.engine, params.compute.address) as engine:
        for answers, refused in predict(trained, files, params.data.max_pixels, engine):
            faults += refused
            if arguments.json:
                printed.print(answers)
            else:
                print_answers(answers, trained.threshold)
            sys.stdout.flush()
    if arguments.json:
        printed.end()
    sys.stdout.flush()
    return faults


def main() -> int:
    """Run the command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names need not be UTF-8
    try:
        faults = answer_all(parse_arguments())
    except BrokenPipeError:  # nobody reads on, as with `| head`; what is left would raise again at Python's end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    for fault in faults:
        print(f"not read: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    run(main)
