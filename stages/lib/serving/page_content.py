"""What the page of `stages.app` says, as HTML; whatever comes from outside is escaped."""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from PIL import Image

from stages.lib.core import paths
from stages.lib.core.classifier import PROBABILITIES
from stages.lib.core.errors import UserError
from stages.lib.core.models import find_backbone
from stages.lib.core.prose import templates
from stages.lib.datasets.features import require
from stages.lib.images.photos import FORMATS
from stages.lib.inference.grad_cam import grad_cam
from stages.lib.inference.nearest import TrainingPhotos, read_training_photos
from stages.lib.networks.graphs import only
from stages.lib.reporting.embedding import embed_photo, overlay
from stages.lib.serving.answers import Answered
from stages.lib.serving.trained_models import NONE_OF_THESE, Threshold, Trained

FOLDER = Path(__file__).parent / "templates"
LOCK = Path("dvc.lock")
STYLE = (FOLDER / "page.css").read_text(encoding="utf-8")
LISTED = 5  # breeds of a photo; the others can be unfolded
ENVIRONMENT = templates(FOLDER)
ENVIRONMENT.filters["share"] = "{:.1%}".format  # as `stages.predict` prints it


class Shown(NamedTuple):
    """What is told of photos."""

    # the `answer` to each, with "picture" and "heat" as data URIs, "heat" may be None, and "alike": of an unknown photo
    # the training photos most like it, "breed" and "picture"
    photos: list[dict[str, Any]]
    faults: list[dict[str, str]]  # "name" and "reason" of each file that is no photo
    left_out: int  # files that were too many


def find_alike(training_photos: TrainingPhotos | None, batch: Answered) -> dict[str, list[dict[str, str]]]:
    """Of each photo that is none of the breeds, the training photos most like it, by its file."""
    unknown = [place for place, answer in enumerate(batch.answers) if answer["unknown"]]
    if training_photos is None or not unknown:
        return {}
    found = training_photos.most_alike(training_photos.network.predict_on_batch(batch.pictures[unknown]))
    return {
        batch.answers[place]["photo"]: [{"breed": each.breed, "picture": embed_photo(each.file)} for each in alike]
        for place, alike in zip(unknown, found, strict=True)
    }


def show_batch(
    trained: Trained, training_photos: TrainingPhotos | None, batch: Answered, names: dict[Path, str]
) -> Shown:
    """A batch of answers with its pictures, and over them where a Keras network looked; ``names`` are the files'."""
    alike = find_alike(training_photos, batch)
    heats: list[str | None] = [None] * len(batch.answers)
    if batch.answers and trained.as_saved is not None:
        breeds = trained.classifier.breeds
        named = np.array([breeds.index(answer["breeds"][0]["breed"]) for answer in batch.answers])
        maps = grad_cam(only(trained.as_saved, PROBABILITIES), batch.pictures, named)
        heats = [embed_photo(overlay(picture, heat)) for picture, heat in zip(batch.pictures, maps, strict=True)]
    photos = [
        {
            **answer,
            "photo": names[Path(answer["photo"])],
            "picture": embed_photo(Image.fromarray(picture)),
            "heat": heat,
            "alike": alike.get(answer["photo"], []),
        }
        for answer, picture, heat in zip(batch.answers, batch.pictures, heats, strict=True)
    ]
    return Shown(photos, [{"name": names[fault.file], "reason": fault.reason} for fault in batch.faults], 0)


def read_alike(trained: Trained, families: Mapping[str, tuple[str, ...]]) -> TrainingPhotos | None:
    """What `find_alike` looks among; None where the model is on no backbone, or its training photos are not here."""
    backbone = find_backbone(trained.name, families)
    if trained.as_saved is None or backbone is None:
        return None
    with contextlib.suppress(UserError):  # somebody has the model alone
        read = read_training_photos(trained.as_saved, backbone)
        require(*(photo.file for photo in read.photos))
        return read
    return None


def render_answers(shown: Shown, threshold: Threshold | None) -> str:
    """The photos with their breeds, and a sentence for each file that is no photo."""
    return ENVIRONMENT.get_template("page_answers.html.jinja").render(
        **shown._asdict(), threshold=threshold, none_of_these=NONE_OF_THESE, listed=LISTED, formats=FORMATS
    )


def _read(path: Path, parse: Any) -> dict[str, Any]:
    """What a file holds, nothing where there is none."""
    if not path.exists():
        return {}
    try:
        return parse(path.read_text(encoding="utf-8")) or {}
    except (ValueError, yaml.YAMLError) as error:
        told = " ".join(str(error).split())
        raise UserError(f"{path} can't be read ({told[:200]}): `git checkout {path}` brings it back.") from None


def read_locked_params() -> dict[str, Any]:
    """The parameters that evaluate declares, as they were when it ran: params.yaml may have changed since."""
    evaluated = _read(LOCK, yaml.safe_load).get("stages", {}).get("evaluate", {})
    return evaluated.get("params", {}).get(str(paths.PARAMS), {})


def render_about(trained: Trained, path: Path, evaluation: dict[str, Any]) -> str:
    """What is known of a model: breeds, photos that it was trained on, score on test, what to beware of."""
    locked = read_locked_params()
    return ENVIRONMENT.get_template("page_about.html.jinja").render(
        path=path,
        name=trained.name,
        breeds=trained.classifier.breeds,
        threshold=trained.threshold,
        familiarity=trained.familiarity,
        scores=None if trained.name is None else evaluation.get(trained.name),
        evaluation=evaluation,
        prepared=_read(paths.METRICS / "prepare.json", json.loads),
        source=locked.get("data.source"),
        level=locked.get("evaluate", {}).get("confidence_level"),
    )
