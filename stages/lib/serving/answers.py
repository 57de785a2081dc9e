"""A model's answers about photos, in words and numbers for people."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.lib.core.classifier import Classifier
from stages.lib.core.shrinking import shrink
from stages.lib.evaluation.selective import is_sure
from stages.lib.images.photos import Refused, is_clutter, read_photo, to_square
from stages.lib.serving.trained_models import Threshold


class Fault(NamedTuple):
    """A file that could not be read as a photo."""

    file: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


class ReadPhotos(NamedTuple):
    """The photos of a batch of files."""

    files: list[Path]  # that could be read
    pictures: np.ndarray  # of these, uint8 (files, image_size, image_size, 3)
    faults: list[Fault]  # the others


class Answered(NamedTuple):
    """What a model says of a batch of files."""

    answers: list[dict[str, Any]]  # the `answer` to each photo
    pictures: np.ndarray  # the same photos as the model sees them, uint8 (answers, image_size, image_size, 3)
    faults: list[Fault]  # the files that are no photos


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


def read_photos(files: list[Path], classifier: Classifier, max_pixels: int) -> ReadPhotos:
    """Read photos and make of them, as prepare did, the pictures that ``classifier`` takes."""
    read, pictures, faults = [], [], []
    for file in files:
        try:
            if file.is_dir():
                raise Refused("a folder without photos")
            image = read_photo(file, max_pixels)
        except Refused as refusal:
            faults.append(Fault(file, str(refusal)))
            continue
        try:
            square = to_square(image, classifier.prepared_size, classifier.resize)
        except ValueError:  # Pillow's below 13, which Gradio needs, of what would be padded to less than a pixel
            if classifier.resize != "pad":
                raise
            faults.append(Fault(file, f"too thin to be padded ({image.width}x{image.height})"))
            continue
        read.append(file)
        pictures.append(np.asarray(shrink(square, classifier.image_size)))
    return ReadPhotos(read, np.array(pictures, np.uint8).reshape(-1, *classifier.network.input_shape[1:]), faults)


def answer(file: Path, probabilities: np.ndarray, breeds: list[str], threshold: Threshold | None) -> dict[str, Any]:
    """What a model says of a photo, of whose ``breeds`` it gives ``probabilities`` (breeds,).

    Returns:
        ``{"photo": file, "sure": sure, "breeds": [{"breed", "probability"}, ...]}``, the most probable breed first;
        ``sure`` is None if there is no threshold.
    """
    order = np.argsort(-probabilities, kind="stable")
    return {
        "photo": str(file),
        "sure": None if threshold is None else bool(is_sure(probabilities.max(), threshold.confidence)),
        "breeds": [{"breed": breeds[i], "probability": round(float(probabilities[i]), 6)} for i in order],
    }


def answer_in_batches(
    classifier: Classifier, files: list[Path], max_pixels: int, threshold: Threshold | None, batch_size: int
) -> Iterator[Answered]:
    """Answer each ``batch_size`` of ``files``."""
    for start in range(0, len(files), batch_size):
        batch = read_photos(files[start : start + batch_size], classifier, max_pixels)
        rows = classifier.network.predict_on_batch(batch.pictures) if batch.files else []
        yield Answered(
            [answer(file, row, classifier.breeds, threshold) for file, row in zip(batch.files, rows, strict=True)],
            batch.pictures,
            batch.faults,
        )
