"""Which files are refused for what others beside them are, and when that is too much."""

from collections import defaultdict
from typing import Any

import pandas as pd

from stages.lib.core import paths
from stages.lib.core.errors import UserError

REFUSED_LIST = paths.PREPARED.with_name("prepared.partial") / "refused.csv"  # where it stands if too much is refused
LABEL_CONFLICT = "same photo in two breeds"


class TooMuchRefusedError(UserError):
    """So much is refused that it is no accident; ``refused`` lists it."""

    def __init__(self, refused: pd.DataFrame, message: str):
        super().__init__(message)
        self.refused = refused


def refuse_label_conflicts(records: list[dict[str, Any]]) -> None:
    """Refuse every photo that stands, pixel by pixel, in two breeds: nobody can tell which label is right.

    The pixels are those that the networks would see, and the breed of each is its ``label``, see `apply_label_fixes`;
    one that a person dropped has none. Near duplicates in two breeds are kept (see `doubtful_labels`).
    """
    twins = defaultdict(list)
    for record in records:
        if not record["reason"] and record["label"]:
            twins[record["pixels"]].append(record)
    for same in twins.values():
        if len({record["label"] for record in same}) > 1:
            files = ", ".join(record["file"] for record in same)
            for record in same:
                record.update(reason=LABEL_CONFLICT, detail=files)


def by_reason(refused: pd.DataFrame) -> dict[str, int]:
    """How many files each reason has refused, by its name."""
    return {str(reason): count for reason, count in refused["reason"].value_counts().sort_index().items()}


def check_refused(refused: pd.DataFrame, files: dict[str, list[str]], max_refused: float) -> None:
    """Raise `TooMuchRefusedError`, naming the breeds, where more of one than the share ``max_refused`` is refused."""
    faults = [
        f"{breed}: {len(of_breed)} of {len(files[str(breed)])} files refused ("
        + ", ".join(f"{count} {reason}" for reason, count in by_reason(of_breed).items())
        + ")"
        for breed, of_breed in refused.groupby("breed")
        if len(of_breed) > max_refused * len(files[str(breed)])
    ]
    if not faults:
        return
    raise TooMuchRefusedError(
        refused,
        "\n".join(faults) + f"\ndata.max_refused allows {max_refused:g} of a breed's files to be refused. "
        f"{REFUSED_LIST} tells which and why: mend them, take them out of the folder, or raise data.max_refused.",
    )
