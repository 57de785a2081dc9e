"""Choose which of a folder's unlabelled photos to label first, with the breed that a model would guess for each.

The photos that the model is least sure of, no two of them alike, and none that is nearly the same as another or as a
labelled one, or that shows none of the breeds.

Reads   models/<best>.keras, or the model that is asked for; metrics/evaluate.json, data/features, data/prepared;
        label_next/decisions.csv, as what is decided is not chosen again
Makes   label_next/photos.csv: each photo, most worth a label first, with the guess, the next breed and the training
        photos of both most like it; label_next/photos.jpg: the same by guess
Run     python -m stages.label_next FOLDER [--count COUNT] [--model MODEL]
        then python -m stages.review --into FOLDER_OF_BREEDS, where requirements/app.txt is installed

Exit code 0 where every photo could be read, 1 where something could not (the others are chosen from all the same) or
where it can't start, 2 for options that do not exist.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from stages.lib.core import paths
from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.core.errors import UserError, run
from stages.lib.core.evaluated import read_evaluation
from stages.lib.core.hashes import hash_file
from stages.lib.core.models import find_backbone
from stages.lib.core.params import load_params
from stages.lib.core.progress import Progress
from stages.lib.core.tables import write_csv
from stages.lib.familiarity.scores import normalise
from stages.lib.images.duplicates import perceptual_hashes
from stages.lib.images.folders import check_names
from stages.lib.images.label_fixes import read_label_fixes
from stages.lib.inference.nearest import TrainingPhotos, read_training_photos
from stages.lib.networks.graphs import join_networks
from stages.lib.reporting.charts import save
from stages.lib.serving.answers import Fault, list_files, read_photos
from stages.lib.serving.doubts import DECIDED, LABEL_NEXT, UNLABELLED
from stages.lib.serving.trained_models import HELP, Trained, find_model, load_model
from stages.lib.serving.unlabelled import Unlabelled, choose, draw_guesses, hash_pictures, tell_about, worth_a_label

COUNT = 50
BATCH_SIZE = 32


def whole_number(text: str) -> int:
    """A number of photos from the command line, 1 or more."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more. Received: {text}")
    return int(text)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m stages.label_next", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="unlabelled photos, in sub-folders or not")
    parser.add_argument("--count", type=whole_number, default=COUNT, help=f"how many to choose, {COUNT} if not given")
    parser.add_argument("--model", help=HELP)
    return parser.parse_args()


def is_decided(file: Path, decided: set[str]) -> bool:
    """Whether a file is one of ``decided``, by its sha256; one that can't be read is none, and reading it tells why."""
    try:
        return bool(decided) and hash_file(file) in decided
    except OSError:
        return False


def ask(
    trained: Trained, training: TrainingPhotos, files: list[Path], max_pixels: int
) -> tuple[Unlabelled, list[Fault]]:
    """What the model says of photos about which nobody has decided, and the files that are no photos."""
    network = join_networks([trained.classifier.network, training.network])
    decided = {fix.sha256 for fix in read_label_fixes(DECIDED)}
    read, hashes, probabilities, features, unknown, faults = [], [], [], [], [], []
    with Progress(desc="label_next", total=len(files), unit="photo") as bar:
        for start in range(0, len(files), BATCH_SIZE):
            asked = files[start : start + BATCH_SIZE]
            batch = read_photos(
                [file for file in asked if not is_decided(file, decided)], trained.classifier, max_pixels
            )
            read += batch.files
            faults += batch.faults
            hashes += [perceptual_hashes(Image.fromarray(picture)) for picture in batch.pictures]
            if batch.files:
                outputs, alike = network.predict_on_batch(batch.pictures)
                probabilities.append(outputs[PROBABILITIES])
                unknown.append(trained.familiarity.is_unknown(outputs[FAMILIARITY]))
                features.append(normalise(alike))
            bar.update(len(asked))
    parts = (np.concatenate(each) if read else np.empty(0) for each in (probabilities, features, unknown))
    return Unlabelled(read, np.array(hashes, np.uint64), *parts), faults


def main() -> int:
    """Run the command."""
    arguments, params = parse_arguments(), load_params()
    if not arguments.folder.is_dir():
        raise UserError(f"{arguments.folder} must be a folder of photos.")
    evaluation = read_evaluation()
    path = find_model(arguments.model, evaluation, params.models)
    trained = load_model(path, evaluation, params.evaluate.turned_away)
    backbone = find_backbone(trained.name, params.families)
    if backbone is None or trained.as_saved is None:
        raise UserError(
            f"{path} can't choose: name a .keras model on a backbone with --model, one that was evaluated as it is now."
        )
    training = read_training_photos(trained.as_saved, backbone)
    labelled = hash_pictures(sorted(paths.PREPARED.rglob("*.png")))
    if {photo.breed for photo in training.photos} != {*trained.classifier.breeds}:
        raise UserError(f"{path} was trained on other breeds than there are features of: run `dvc repro` first.")
    files = list_files([arguments.folder.resolve()])
    check_names([str(file) for file in files])
    photos, faults = ask(trained, training, files, params.data.max_pixels)
    for fault in faults:
        print(f"not read: {fault}", file=sys.stderr)
    if not photos.files:
        raise UserError("There is no photo in it about which nobody has decided.")
    worth, left = worth_a_label(photos, labelled, params.data.duplicate_distance)
    table = tell_about(photos, choose(photos, worth, arguments.count, params.seed), trained.classifier.breeds, training)
    write_csv(table, UNLABELLED)
    sheet = LABEL_NEXT / "photos.jpg"
    sheet.unlink(missing_ok=True)
    if len(table):
        save(draw_guesses(table, params.data.max_pixels), sheet)
    print(
        f"label_next: {len(table)} of {len(photos.files)} photos, in {LABEL_NEXT}; left out {left.labelled} that "
        f"are nearly labelled ones, {left.alike} nearly others of them, {left.unknown} of none of the breeds"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    run(main)
