"""data/label_fixes.csv: what a person decided about the labels of photos, applied without touching a photo."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from stages.lib.core.errors import UserError
from stages.lib.core.outputs import whole_file

COLUMNS = ("sha256", "file", "action", "breed", "note")
KEEP, MOVE, DROP = ACTIONS = ("keep", "move", "drop")
SHOWN = 20  # faults, at most, that a message lists


class LabelFix(NamedTuple):
    """A decision about a photo, by its content: it holds for each copy of it, whatever its name."""

    sha256: str  # of the file, in hexadecimal
    file: str  # below data.source, where it stood when it was decided
    action: str  # one of `ACTIONS`
    breed: str = ""  # where to move it; "" for all else
    note: str = ""

    @property
    def folder(self) -> str:
        """The breed in whose folder the photo stood when it was decided."""
        return self.file.partition("/")[0]

    @property
    def decision(self) -> str:
        """What is to be done, in words."""
        return f"move to {self.breed}" if self.action == MOVE else self.action


def _fault(cells: list[str]) -> str:
    """What is wrong with a line, "" for nothing."""
    if len(cells) != len(COLUMNS):
        return f"must have {len(COLUMNS)} cells ({', '.join(COLUMNS)}), and has {len(cells)}"
    fix = LabelFix(*cells)
    if not re.fullmatch("[0-9a-f]{64}", fix.sha256):
        return f"sha256 must be 64 of the digits 0-9 and a-f. Received: {fix.sha256!r}"
    if "/" not in fix.file:
        return f"file must be the photo's place below data.source, as BREED/PHOTO. Received: {fix.file!r}"
    if fix.action not in ACTIONS:
        return f"action must be {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}. Received: {fix.action!r}"
    if (fix.action == MOVE) != bool(fix.breed):
        return f"breed must be named for {MOVE}, and for nothing else. Received: {fix.action!r} with {fix.breed!r}"
    return ""


def _refuse(path: Path, faults: list[str]) -> None:
    """Raise `UserError` where there are ``faults``."""
    if faults:
        more = [f"… and {len(faults) - SHOWN} more"] if len(faults) > SHOWN else []
        told = "\n".join([*faults[:SHOWN], *more])
        raise UserError(f"{path} has lines that can't be applied, and none was:\n{told}\nMend or remove them.")


def read_label_fixes(path: Path) -> list[LabelFix]:
    """Read the decisions; none where there is no file. The same decision may stand there twice.

    Raises `UserError` naming each line that is none, or contradicts another.
    """
    if not path.exists():
        return []
    try:
        text = path.read_bytes().decode("utf-8-sig")  # as spreadsheets write it
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path} must be comma-separated UTF-8: {error}. `git checkout {path}` brings the last commit's back."
        ) from None
    if not lines or lines[0][1] != list(COLUMNS):
        first = ",".join(lines[0][1]) if lines else "an empty file"
        raise UserError(f"{path} must begin with the line {','.join(COLUMNS)}. Received: {first}")
    faults: list[str] = []
    decided: dict[str, tuple[int, LabelFix]] = {}
    for number, cells in lines[1:]:
        fault = _fault(cells)
        if not fault:
            fix = LabelFix(*cells)
            before, earlier = decided.setdefault(fix.sha256, (number, fix))
            if earlier.decision != fix.decision:
                fault = f"{fix.file} is to {fix.decision}, but by line {before} to {earlier.decision}"
        if fault:
            faults.append(f"line {number}: {fault}")
    _refuse(path, faults)
    return [fix for _, fix in decided.values()]


def write_label_fixes(path: Path, fixes: Iterable[LabelFix]) -> None:
    """Write the decisions, sorted by file, so that one more is one line more to Git."""
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        rows = sorted(fixes, key=lambda fix: (fix.file, fix.sha256))
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def moved_place(file: str, breed: str) -> str:
    """The name of a photo of another breed's folder among the photos of ``breed``."""
    folder, _, rest = file.partition("/")
    return file if folder == breed else f"{breed}/moved from {folder}/{rest}"


def apply_label_fixes(
    records: list[dict[str, Any]], fixes: list[LabelFix], breeds: Iterable[str], path: Path
) -> list[str]:
    """Say of each photo what a person decided, and which breed it is taken for.

    Args:
        records: of each file its ``file`` and ``breed`` (its folder), "" or why it is refused as ``reason``, and its
            ``sha256`` if it is not. To each is added ``label_fix``, one of `ACTIONS` or "", and ``label``, the breed
            that it is taken for, "" for a photo that is dropped.
        fixes: the decisions.
        breeds: the folders.
        path: where the decisions stand, for messages.

    Returns:
        A sentence for each decision about a photo that is not there, or was kept in a folder where it is no more.

    Raises `UserError`, with no record changed, where a photo is to move to a breed that has no folder.
    """
    copies = defaultdict(list)
    for record in records:
        if not record["reason"]:
            copies[record["sha256"]].append(record)
    known, files = set(breeds), {record["file"] for record in records}
    faults: list[str] = []
    idle: list[str] = []
    decided: dict[int, LabelFix] = {}
    for fix in fixes:
        photos = copies[fix.sha256]
        if not photos:
            now = "has changed since it was decided" if fix.file in files else "is not there, or can't be read"
            idle.append(f"{fix.file} ({fix.decision}) {now}")
        elif fix.action == MOVE and fix.breed not in known:
            faults.append(f"{fix.file} is to {fix.decision}, which is none of {', '.join(sorted(known))}")
        elif fix.action == KEEP and any(photo["breed"] != fix.folder for photo in photos):
            places = ", ".join(photo["file"] for photo in photos)
            idle.append(f"{fix.file} (keep) stands in another breed now ({places}): decide again")
        else:
            taken = [moved_place(photo["file"], fix.breed) for photo in photos] if fix.action == MOVE else []
            for photo, place in zip(photos, taken, strict=False):
                if place != photo["file"] and place in files:
                    faults.append(f"{fix.file} can't {fix.decision}: {place} is there already; rename that folder")
            decided |= {id(photo): fix for photo in photos}
    _refuse(path, faults)
    for record in records:
        label, action = record["breed"], ""
        if id(record) in decided:
            decision = decided[id(record)]
            label = {KEEP: label, MOVE: decision.breed, DROP: ""}[decision.action]
            # of a photo that was put into the right folder since, it says that the label is right there
            action = KEEP if label == record["breed"] else decision.action
        record["label"], record["label_fix"] = label, action
    return idle
