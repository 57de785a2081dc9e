"""Tell the breed of photos: each one's breeds with their probabilities, best first.

Where the highest probability is below the model's threshold, it says "not sure", and lists the breeds all the same. The
threshold is what evaluate found on val for `evaluate.target_accuracy`; a model from elsewhere has none.

Reads   models/<best>.keras, where metrics/evaluate.json says which is best, or the model that is asked for; and from
        metrics/evaluate.json the model's threshold. An exported model, .onnx or .tflite, has its threshold inside
Run     python -m stages.predict PHOTO_OR_FOLDER ... [--model MODEL] [--json]

Exit code 0 where every photo could be read, 1 where something could not (the other photos are told all the same), 2 for
options that do not exist.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from stages.lib import paths
from stages.lib.errors import UserError, run
from stages.lib.exported import READERS, load_exported
from stages.lib.model_files import Classifier, load_classifier
from stages.lib.models import MODELS
from stages.lib.params import load_params
from stages.lib.pictures import Refused, is_clutter, read_photo, to_square
from stages.lib.selective import is_sure

BAR = 20  # characters
BATCH_SIZE = 32
FILES = ".keras, .onnx or .tflite"


class Threshold(NamedTuple):
    """From which confidence on a model is sure."""

    confidence: float | None  # None: never

    def in_words(self) -> str:
        """The remark below a photo that it is not sure of."""
        if self.confidence is None:
            return "not sure: this model never is, it did not reach evaluate.target_accuracy on val"
        return f"not sure: it would be from {self.confidence:.1%} on"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.predict", description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="a photo, or a folder of photos")
    parser.add_argument("--model", help=f"{', '.join(MODELS)}, or a {FILES} file; the best on val if not given")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def read_evaluation() -> dict[str, Any]:
    """What evaluate wrote; nothing where it has not run."""
    path = paths.METRICS / "evaluate.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(
            f"{path} is not as evaluate wrote it ({error}): `git checkout {path}` brings it back."
        ) from None


def find_model(model: str | None, evaluation: dict[str, Any]) -> Path:
    """The file of the model that is asked for by name or path, or of the best one."""
    if model is None:
        if "best" not in evaluation:
            raise UserError("There is no metrics/evaluate.json to tell the best model: run `dvc repro` first.")
        model = evaluation["best"]
    path = paths.MODELS / f"{model}.keras" if model in MODELS else Path(model)
    if model not in MODELS and not path.exists():
        raise UserError(f"--model must be {', '.join(MODELS)} or a {FILES} file. Received: {model}")
    return path


def find_threshold(path: Path, evaluation: dict[str, Any]) -> Threshold | None:
    """The threshold of one of the five models; None where it is another one, or none was looked for."""
    scores = evaluation.get(path.stem, {})
    ours = path.resolve() == (paths.MODELS / path.name).resolve()
    return Threshold(scores["threshold"]) if ours and "threshold" in scores else None


def load_model(path: Path, evaluation: dict[str, Any]) -> tuple[Classifier, Threshold | None]:
    """Read a model of any format, and its threshold."""
    if path.suffix in READERS:
        exported = load_exported(path)
        return exported.classifier, Threshold(exported.about.threshold)
    return load_classifier(path), find_threshold(path, evaluation)


def list_files(photos: list[Path]) -> list[Path]:
    """Put a folder's files, sorted and without clutter, in the folder's place; an empty folder stays as it is."""
    files = []
    for path in photos:
        if not path.is_dir():
            files.append(path)
            continue
        inside = [
            file
            for file in sorted(path.rglob("*"))
            if file.is_file() and not any(map(is_clutter, file.relative_to(path).parts))
        ]
        files += inside or [path]
    return files


def predict(
    classifier: Classifier, files: list[Path], max_pixels: int, threshold: Threshold | None
) -> tuple[list[dict], list[str]]:
    """Read and classify ``files`` in batches; of more than one batch, a progress bar on stderr tells how far it is.

    Returns:
        For each photo ``{"photo": file, "sure": sure, "breeds": [{"breed", "probability"}, ...]}``, the most probable
        breed first, where ``sure`` is None if there is no threshold; and a sentence for each file that is no photo.
    """
    answers, faults = [], []
    with tqdm(desc="predict", total=len(files), unit="photo", mininterval=1, disable=len(files) <= BATCH_SIZE) as bar:
        for start in range(0, len(files), BATCH_SIZE):
            read, pictures = [], []
            for file in files[start : start + BATCH_SIZE]:
                try:
                    if file.is_dir():
                        raise Refused("a folder without photos")
                    image = read_photo(file, max_pixels)
                except Refused as refusal:
                    faults.append(f"{file}: {refusal}")
                    continue
                read.append(file)
                pictures.append(np.asarray(to_square(image, classifier.image_size, classifier.resize)))
            if read:
                for file, probabilities in zip(
                    read, classifier.network.predict_on_batch(np.stack(pictures)), strict=True
                ):
                    order = np.argsort(-probabilities, kind="stable")
                    breeds = [
                        {"breed": classifier.breeds[i], "probability": round(float(probabilities[i]), 6)} for i in order
                    ]
                    sure = None if threshold is None else bool(is_sure(probabilities.max(), threshold.confidence))
                    answers.append({"photo": str(file), "sure": sure, "breeds": breeds})
            bar.update(len(files[start : start + BATCH_SIZE]))
    return answers, faults


def print_answers(answers: list[dict], threshold: Threshold | None) -> None:
    """Print each photo's breeds with bars."""
    for answer in answers:
        print(answer["photo"])
        if answer["sure"] is False:
            print(f"  {threshold.in_words()}")
        width = max(len(row["breed"]) for row in answer["breeds"])
        for row in answer["breeds"]:
            bar = "█" * round(BAR * row["probability"])
            print(f"  {row['breed']:<{width}}  {row['probability']:6.1%}  {bar}".rstrip())


def main() -> int:
    """Run the command."""
    sys.stdout.reconfigure(errors="backslashreplace")  # names need not be UTF-8
    arguments = parse_arguments()
    params = load_params()
    files = list_files(arguments.photos)
    evaluation = read_evaluation()
    path = find_model(arguments.model, evaluation)
    classifier, threshold = load_model(path, evaluation)
    answers, faults = predict(classifier, files, params.data.max_pixels, threshold)
    if arguments.json:
        print(json.dumps(answers, indent=2, ensure_ascii=False))
    else:
        print_answers(answers, threshold)
    for fault in faults:
        print(f"not read: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    run(main)
