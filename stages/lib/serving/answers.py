"""A model's answers about photos, in words and numbers for people."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES, Classifier
from stages.lib.core.shrinking import shrink
from stages.lib.evaluation.selective import is_sure
from stages.lib.images.photos import Refused, is_clutter, read_photo, to_square
from stages.lib.serving.trained_models import Familiarity, Threshold


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


def answer(
    files: list[Path],
    outputs: Mapping[str, np.ndarray],
    breeds: list[str],
    familiarity: Familiarity,
    threshold: Threshold | None,
) -> Iterator[dict[str, Any]]:
    """What a model says of each of ``files``.

    Args:
        files: photos.
        outputs: what the model's network gives of them, see `with_familiarity`.
        breeds: their names, in the order of the probabilities.
        familiarity: tells which photos show none of the breeds.
        threshold: tells which answers are sure.

    Yields:
        ``{"photo": file, "unknown": unknown, "familiarity": p, "sure": sure, "breeds": breeds}``: ``unknown`` is true
        where it is none of the breeds; ``p`` is the share of known photos that are no more familiar, above 0 to 1;
        ``sure`` is None if there is no threshold; ``breeds`` are ``[{"breed", "probability"}, ...]``, the most probable
        first.
    """
    unknown = familiarity.is_unknown(outputs[FAMILIARITY])
    p_values = familiarity.p_values(outputs[FAMILIARITY])
    for place, (file, probabilities) in enumerate(zip(files, outputs[PROBABILITIES], strict=True)):
        order = np.argsort(-probabilities, kind="stable")
        yield {
            "photo": str(file),
            "unknown": bool(unknown[place]),
            "familiarity": round(float(p_values[place]), 6),
            "sure": None if threshold is None else bool(is_sure(probabilities.max(), threshold.confidence)),
            "breeds": [{"breed": breeds[i], "probability": round(float(probabilities[i]), 6)} for i in order],
        }


def answer_in_batches(
    classifier: Classifier,
    files: list[Path],
    max_pixels: int,
    familiarity: Familiarity,
    threshold: Threshold | None,
    batch_size: int,
) -> Iterator[Answered]:
    """Answer each ``batch_size`` of ``files``; the next are read while the network is asked."""
    with ThreadPoolExecutor(1) as pool:

        def read(start: int) -> Future[ReadPhotos]:
            return pool.submit(read_photos, files[start : start + batch_size], classifier, max_pixels)

        coming = read(0)
        for start in range(0, len(files), batch_size):
            batch, coming = coming.result(), read(start + batch_size)
            answers: list[dict[str, Any]] = []
            if batch.files:
                outputs = classifier.network.predict_on_batch(batch.pictures)
                answers = list(answer(batch.files, outputs, classifier.breeds, familiarity, threshold))
            yield Answered(answers, batch.pictures, batch.faults)
