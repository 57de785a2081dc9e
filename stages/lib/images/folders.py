"""A person's folder of photos: one sub-folder a breed, whatever else is in it."""

import os
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import NoReturn

from stages.lib.core.errors import UserError
from stages.lib.images.photos import is_clutter

LONGEST_NAME = 240  # bytes; 255 are allowed, and the names of views are longer
# A breed's sub-folder of photos that were chosen as a model was least sure of them: they train, or test would be harder
# than what comes, and labelled by who had that model's guess in view
CHOSEN = "label_next"
PREDICTION_COLUMNS = {"photo", "actual", "predicted", "confidence"}
SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test"}


def check_names(files: list[str]) -> None:
    """Raise `UserError`, with the first names in question, unless all of ``files`` can be told in a CSV and copied."""
    faults = []
    for file in files:
        encoded = os.fsencode(file)
        longest = max(map(len, encoded.split(b"/")))
        if longest > LONGEST_NAME or b"\r" in encoded or encoded.decode(errors="replace") != file:
            faults.append(ascii(file))
    if faults:
        raise UserError(
            f"names of photos must be UTF-8, of {LONGEST_NAME} bytes at most and without carriage return. "
            f"Received: {', '.join(faults[:5])}{', …' if len(faults) > 5 else ''} ({len(faults)}): rename them."
        )


def check_breeds(source: Path, breeds: list[str]) -> None:
    """Raise `UserError` unless ``breeds`` are two or more names that can't be taken for each other or for a split."""
    if len(breeds) < 2:
        raise UserError(
            f"data.source must hold one sub-folder a breed, two or more of them. "
            f"Received: {source} with {', '.join(breeds) or 'no sub-folder'}."
        )
    if SPLIT_NAMES.issuperset(name.lower() for name in breeds):
        raise UserError(
            f"data.source must hold one sub-folder a breed. Received: {source} with {', '.join(breeds)}, which is a "
            "split already: bring each breed's photos together in one folder, prepare splits them."
        )
    reserved = PREDICTION_COLUMNS.intersection(breeds)
    if reserved:
        raise UserError(
            f"No breed may be called {', '.join(sorted(PREDICTION_COLUMNS))}, as columns of plots/predictions/*.csv "
            f"are. Received: {', '.join(sorted(reserved))}: rename the folder."
        )
    alike = defaultdict(list)
    for name in breeds:
        alike[unicodedata.normalize("NFC", name).casefold()].append(name)
    for names in alike.values():
        if len(names) > 1:
            raise UserError(
                "Breeds' names must differ in more than case or in how Unicode spells an accent: on a Mac and on "
                f"Windows they are one folder. Received: {', '.join(map(ascii, names))}: bring them together or "
                "rename them."
            )


def refuse_links(source: Path) -> None:
    """Raise `UserError` where a link stands for a breed's folder, or leads nowhere and may have been one."""
    links = [path for path in sorted(source.iterdir()) if path.is_symlink() and not path.is_file()]
    faults = [str(path) for path in links if not is_clutter(path.name)]
    if faults:
        raise UserError(
            "A breed must be a folder, not a link to one: DVC does not follow it, so no change of its photos would be "
            f"noticed. Received: {', '.join(faults)}: put the folder itself there, or make data.source the place "
            "where the folders are."
        )


def files_below(folder: Path) -> list[Path]:
    """List the files below a breed's ``folder``, clutter left out; of a folder that is a link, the link itself.

    Raises `OSError` where a folder can't be listed: it may hold any number of photos.
    """

    def stop(error: OSError) -> NoReturn:
        raise error

    files = []
    for place, folders, names in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not is_clutter(name)]
        # links to folders are among the files: to be refused, not passed over
        links = [name for name in folders if Path(place, name).is_symlink()]
        files += [Path(place, name) for name in (*names, *links) if not is_clutter(name)]
    return files


def _what_is(source: Path) -> str:
    return "not a folder" if source.exists() else "which does not exist; `dvc repro` makes those of data/dvc.yaml"


def find_unknown(source: Path) -> list[Path]:
    """List the files below ``source``, sorted, however many there are; sub-folders mean nothing.

    Raises `UserError` where ``source`` is no folder, or has names that can't be worked with.
    """
    if not source.is_dir():
        raise UserError(f"data.unknown must be a folder; an empty one will do. Received: {source}, {_what_is(source)}.")
    files = sorted(files_below(source), key=Path.as_posix)
    check_names([file.relative_to(source).as_posix() for file in files])
    return files


def find_photos(source: Path) -> dict[str, list[str]]:
    """List each breed's files, relative to ``source`` and sorted; sub-folders of a breed belong to it.

    Only a folder is a breed: a stray file beside the breeds' folders would otherwise become a class of its own.

    Raises `UserError` where ``source`` is no folder, or its breeds or names are none that can be worked with.
    """
    if not source.is_dir():
        raise UserError(
            f"data.source must be a folder with one sub-folder a breed. Received: {source}, {_what_is(source)}."
        )
    refuse_links(source)
    breeds = {
        folder.name: sorted(file.relative_to(source).as_posix() for file in files_below(folder))
        for folder in sorted(source.iterdir())
        if folder.is_dir() and not is_clutter(folder.name)
    }
    check_breeds(source, list(breeds))
    check_names([file for of_breed in breeds.values() for file in of_breed])
    return breeds
