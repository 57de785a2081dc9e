"""What stands in an exported file beside its network."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

HASH = "sha256"  # the entry that has the hash of all else in the file
INPUT, OUTPUT = "photo", "probabilities"


class About(BaseModel):
    """What one needs to know to use an exported network, beside the network."""

    model_config = ConfigDict(strict=True, extra="ignore")

    model: str  # one of the five
    keras_sha256: str  # of the .keras file that it was made from, see `hash_file`
    description: str  # what goes in and what comes out, for people
    breeds: list[str]  # in the order of the probabilities
    resize: Literal["crop", "pad", "squash"]  # how photos are made square, see `to_square`
    threshold: float | None  # from which confidence on it is sure, see `is_sure`; None: never
    views: int  # of a photo, over which the network averages, see `average_views`


def hash_file(path: Path) -> str:
    """The sha256 of a file, in hexadecimal; raises `FileNotFoundError` where there is none."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe(side: int, breeds: list[str], resize: str, views: int) -> str:
    """What goes into an exported network and what comes out of it, for people.

    Args:
        side: pixels a side of its photos.
        breeds: in the order of the probabilities.
        resize: how photos are made square, see `to_square`.
        views: of a photo, see `average_views`.
    """
    description = (
        f"{INPUT}: float32 (n, {side}, {side}, 3), red-green-blue 0-255, made square by resize={resize}; "
        f"{OUTPUT}: float32 (n, {len(breeds)}), in the order of breeds; not sure where the highest is below threshold"
    )
    if views > 1:
        description += "; they are means over the photo and its mirror image, which the network makes itself"
    return description


def check_hash(entries: Mapping[str, str], found: str) -> None:
    """Raise `ValueError` unless ``entries``, a file's metadata, have ``found``, the hash of its content."""
    if HASH not in entries:
        raise ValueError(f"its metadata have no {HASH}, which export writes")
    if entries[HASH] != found:
        raise ValueError(f"its content is not what its {HASH} was made of")
