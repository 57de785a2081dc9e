"""Values that params.yaml may have."""

from typing import Annotated, Any

import pydantic
from pydantic import Field

from stages.lib.core.models import NAME, SCRATCH_FAMILY
from stages.lib.core.registry import NETWORKS


def _no_truth_value(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("Input should be a valid number")
    return value


def _weights_file(value: str) -> str:
    if not value.endswith(".weights.h5"):
        raise ValueError("should end in .weights.h5")
    return value


def _name_of_a_backbone(value: str) -> str:
    if not NAME.fullmatch(value) or value.lower() == SCRATCH_FAMILY:
        raise ValueError(
            f"should be letters, digits, _ and -, no - in front, and not {SCRATCH_FAMILY}: files are named after it"
        )
    return value


def _known_network(value: str) -> str:
    if value not in NETWORKS:
        raise ValueError(f"should be {', '.join(NETWORKS)}")
    return value


def _address(value: str) -> str:
    if value.startswith("ray://"):
        raise ValueError("should not begin with ray://, through which Ray's Data library does not work: HOST:PORT does")
    host, _, port = value.rpartition(":")
    if value not in ("local", "auto") and (not host or "/" in host or not port.isdecimal()):
        raise ValueError("should be local, auto or HOST:PORT")
    return value


# YAML 1.1 reads 1e-05, which is how DVC writes 0.00001, as a string: so numbers with a fraction are read leniently
Number = Annotated[float, Field(strict=False), pydantic.BeforeValidator(_no_truth_value)]
Share = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
ImageSize = Annotated[int, Field(ge=32)]
BackboneName = Annotated[str, pydantic.AfterValidator(_name_of_a_backbone)]
WeightsFile = Annotated[str, pydantic.AfterValidator(_weights_file)]
NetworkName = Annotated[str, pydantic.AfterValidator(_known_network)]
Address = Annotated[str, pydantic.AfterValidator(_address)]
Folder = Annotated[str, Field(min_length=1)]
