"""Which photos a person is to look at, the most doubtful first, and what is shown beside each."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.lib.core import paths
from stages.lib.core.errors import UserError
from stages.lib.core.evaluated import find_best, read_evaluation
from stages.lib.core.hashes import hash_file
from stages.lib.core.params import Params
from stages.lib.core.tables import read_csv
from stages.lib.datasets.features import read_photos
from stages.lib.datasets.predictions import read_models, read_predictions
from stages.lib.familiarity.scores import find_nearest, normalise
from stages.lib.images.refusals import LABEL_CONFLICT, REFUSED_LIST

MANIFEST = paths.PREPARED / "manifest.csv"
SUSPICIOUS = paths.PLOTS / "suspicious_labels.csv"
LABEL_NEXT = Path("label_next")  # what `stages.label_next` chose, and what was decided about it
UNLABELLED, DECIDED = LABEL_NEXT / "photos.csv", LABEL_NEXT / "decisions.csv"


class Beside(NamedTuple):
    """A photo that is shown beside another."""

    picture: Path
    breed: str


class Doubt(NamedTuple):
    """A photo whose label a person is asked about."""

    kind: str  # "conflict", "duplicates", "suspicious", "error", "blind" or "unlabelled"
    sha256: str
    file: str  # below data.source; of an unlabelled one, its whole path
    breed: str  # its folder; of an unlabelled one, a model's guess
    suggested: str = ""  # another breed; "" where nothing suggests one
    own: float | None = None  # probability of its breed, where a model was asked
    probability: float | None = None  # of the suggested one
    beside: tuple[Beside, ...] = ()


class Nearest:
    """The photos of a breed that a frozen network finds most like a photo, among train and val."""

    def __init__(self, backbone: str):
        read = {split: read_photos(backbone, "plain", split) for split in ("train", "val")}
        self._features = normalise(np.concatenate([photos.features for photos in read.values()]))
        self._breeds = np.concatenate([photos.breeds for photos in read.values()])
        self._groups = np.concatenate([photos.groups for photos in read.values()])
        names = [(split, photo) for split, photos in read.items() for photo in photos.photos]
        self._pictures = [paths.PREPARED / split / f"{photo}.png" for split, photo in names]
        self._places = {photo: place for place, (_, photo) in enumerate(names)}

    def find(self, photo: str, breeds: list[str]) -> tuple[Beside, ...]:
        """The nearest of each of ``breeds``; no near duplicates of the photo, which would vouch for its label."""
        place, found = self._places[photo], []
        for breed in breeds:
            others = np.flatnonzero((self._breeds == breed) & (self._groups != self._groups[place]))
            if len(others):
                (nearest,) = find_nearest(self._features[others], self._features[[place]]).places
                found += [Beside(self._pictures[each], breed) for each in others[nearest]]
        return tuple(found)


def read_undecided() -> pd.DataFrame:
    """The rows of the manifest about which nobody decided, by ``file``; none where there is no manifest.

    Raises `UserError` for a manifest of an earlier version.
    """
    columns = ["file", "breed", "split", "group", "sha256", "source_file", "label_fix"]
    if not MANIFEST.exists():
        return pd.DataFrame(columns=columns).set_index("file", drop=False)
    manifest = pd.read_csv(MANIFEST, dtype=str, keep_default_na=False)
    if not {*columns} <= {*manifest.columns}:
        raise UserError(f"{MANIFEST} is an earlier version's: run `dvc repro` first.")
    return manifest[manifest["label_fix"] == ""].set_index("file", drop=False)


def find_conflicts(source: Path) -> Iterator[Doubt]:
    """Photos that `prepare` refused, as they stand in two breeds."""
    refused = next((path for path in (paths.PREPARED / "refused.csv", REFUSED_LIST) if path.exists()), None)
    if refused is None:
        return
    table = pd.read_csv(refused, dtype=str, keep_default_na=False)
    conflicts = table[table["reason"] == LABEL_CONFLICT]
    for _, same in conflicts.groupby("detail"):
        for file, breed in zip(same["file"], same["breed"], strict=True):
            if (source / file).exists():
                others = [each for each in same["breed"] if each != breed]
                beside = tuple(Beside(source / each, each.partition("/")[0]) for each in same["file"] if each != file)
                yield Doubt("conflict", hash_file(source / file), file, breed, others[0], beside=beside)


def find_duplicates(undecided: pd.DataFrame) -> Iterator[Doubt]:
    """Photos of train and val with a near duplicate in another breed."""
    for _, group in undecided[undecided["split"].isin(["train", "val"])].groupby("group", sort=False):
        for row in group.to_dict("records") if group["breed"].nunique() > 1 else []:
            others = group[group["breed"] != row["breed"]]
            shown = zip(others["split"], others["file"], others["breed"], strict=True)
            beside = tuple(Beside(paths.PREPARED / split / f"{file}.png", breed) for split, file, breed in shown)
            suggested = others["breed"].iloc[0]
            yield Doubt("duplicates", row["sha256"], row["source_file"], row["breed"], suggested, beside=beside)


def find_suspicious(undecided: pd.DataFrame, nearest: Nearest) -> Iterator[Doubt]:
    """Photos of train and val whose label the out-of-fold model doubts, in the order of the table."""
    for row in read_csv(SUSPICIOUS).to_dict("records"):
        photo, breed, suggested = row["photo"], row["labelled"], row["suggested"]
        if photo in undecided.index:
            sha256, file = undecided.loc[photo, ["sha256", "source_file"]]
            beside = nearest.find(photo, [breed, suggested])
            own, probability = float(row["quality"]), float(row["suggested_probability"])
            yield Doubt("suspicious", sha256, file, breed, suggested, own, probability, beside)


def find_errors(undecided: pd.DataFrame, nearest: Nearest, params: Params) -> Iterator[Doubt]:
    """Photos of val that the best model takes for another breed, the surest error first."""
    best = find_best(read_evaluation())
    breeds = read_models(params.families)[best]["breeds"]
    val = read_predictions(params.families, "val")
    probabilities = val.probabilities[best]
    for place in np.argsort(-probabilities.max(axis=1), kind="stable"):
        photo, breed, suggested = val.photos[place], val.actual[place], breeds[probabilities[place].argmax()]
        if suggested != breed and photo in undecided.index:
            sha256, file = undecided.loc[photo, ["sha256", "source_file"]]
            own, probability = float(probabilities[place, breeds.index(breed)]), float(probabilities[place].max())
            yield Doubt(
                "error", sha256, file, breed, suggested, own, probability, nearest.find(photo, [breed, suggested])
            )


def list_doubts(params: Params, errors: bool) -> list[Doubt]:
    """What is doubtful of train and val, the most doubtful first, each photo once: none of test is among it.

    Raises `UserError` where the stages that tell have not run.
    """
    undecided = read_undecided()
    found = [*find_conflicts(Path(params.data.source)), *find_duplicates(undecided)]
    if SUSPICIOUS.exists() and len(undecided):
        nearest = Nearest(params.main_backbone)
        found += find_suspicious(undecided, nearest)
        found += find_errors(undecided, nearest, params) if errors else []
    elif not found:
        raise UserError(
            "There is nothing yet that tells which labels are doubtful: run `dvc repro label_errors` first."
        )
    unique: dict[str, Doubt] = {}
    for doubt in found:
        unique.setdefault(doubt.sha256, doubt)
    return list(unique.values())


def list_blind() -> list[Doubt]:
    """All test photos, in an order that nothing but their hashes gives, and with no model's opinion."""
    undecided = read_undecided()
    test = undecided[undecided["split"] == "test"].sort_values("sha256")
    if test.empty:
        raise UserError("There is no test photo to look at: run `dvc repro prepare` first.")
    return [Doubt("blind", *row) for row in zip(test["sha256"], test["source_file"], test["breed"], strict=True)]


def list_unlabelled() -> list[Doubt]:
    """What `stages.label_next` chose, the most worth a label first; raises `UserError` where it has not run."""
    if not UNLABELLED.exists():
        raise UserError(
            "There is no photo to label: `python -m stages.label_next FOLDER` first chooses some of a folder's."
        )
    found = []
    for row in pd.read_csv(UNLABELLED, dtype=str, keep_default_na=False).to_dict("records"):
        photo, guess, second = row["photo"], row["guess"], row["second"]
        if Path(photo).exists():
            beside = (Beside(Path(row["like_guess"]), guess), Beside(Path(row["like_second"]), second))
            probabilities = float(row["probability"]), float(row["second_probability"])
            found.append(Doubt("unlabelled", hash_file(Path(photo)), photo, guess, second, *probabilities, beside))
    return found
