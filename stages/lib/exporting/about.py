"""What stands in an exported file beside its network."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES

HASH = "sha256"  # the entry that has the hash of all else in the file
INPUT, OUTPUTS = "photo", (FAMILIARITY, PROBABILITIES)  # in the order of their names, as Keras has them


class About(BaseModel):
    """What one needs to know to use an exported network, beside the network."""

    model_config = ConfigDict(strict=True, extra="ignore")

    model: str  # its name
    keras_sha256: str  # of the .keras file that it was made from, see `hash_file`
    licence: str  # of the weights that it started from
    description: str  # what goes in and what comes out, for people
    breeds: list[str]  # in the order of the probabilities
    resize: Literal["crop", "pad", "squash"]  # how photos are made square, see `to_square`
    prepared_size: int  # pixels a side of the squares, before `shrink` takes them to what the network takes
    threshold: float | None  # from which confidence on it is sure, see `is_sure`; None: never
    familiarity_threshold: float | None  # below it, it is none of the breeds, see `is_unknown`; None: never
    known_familiarity: list[float]  # of known photos, of which p-values are made, see `p_values`
    views: int  # of a photo, over which the network averages, see `average_views`


def describe(side: int, breeds: list[str], resize: str, prepared_size: int, views: int, dtype: str = "float32") -> str:
    """What goes into an exported network and what comes out of it, for people.

    Args:
        side: pixels a side of the pictures that it takes.
        breeds: in the order of the probabilities.
        resize: how photos are made square, see `to_square`.
        prepared_size: pixels a side of the squares, ``side`` or more.
        views: of a photo, see `average_views`.
        dtype: of the photos that it takes.
    """
    shrunk = "" if side == prepared_size else f" at {prepared_size} pixels, then shrunk to {side}"
    description = (
        f"{INPUT}: {dtype} (n, {side}, {side}, 3), red-green-blue 0-255, made square by resize={resize}{shrunk}; "
        f"{PROBABILITIES}: float32 (n, {len(breeds)}), in the order of breeds; not sure where the highest is below "
        f"threshold; {FAMILIARITY}: float32 (n,); none of these breeds where it is below familiarity_threshold"
    )
    if views > 1:
        description += (
            f"; {PROBABILITIES} are means over the photo and its mirror image, which the network makes itself"
        )
    return description


def check_hash(entries: Mapping[str, str], found: str) -> None:
    """Raise `ValueError` unless ``entries``, a file's metadata, have ``found``, the hash of its content."""
    if HASH not in entries:
        raise ValueError(f"its metadata have no {HASH}, which export writes")
    if entries[HASH] != found:
        raise ValueError(f"its content is not what its {HASH} was made of")
