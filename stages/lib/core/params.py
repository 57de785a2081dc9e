"""`params.yaml`, checked as a whole before any work."""

import difflib
import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import pydantic
import yaml
from pydantic import Field

from stages.lib.core import paths
from stages.lib.core.errors import UserError
from stages.lib.core.models import list_families
from stages.lib.core.values import (
    Address,
    BackboneName,
    Count,
    Folder,
    ImageSize,
    NetworkName,
    Number,
    Share,
    WeightsFile,
)


class Section(pydantic.BaseModel):
    """A section of params.yaml: no key more, no key less, no silent conversion of types."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Data(Section):
    """Where the photos are and how they are read."""

    source: Folder
    unknown: Folder
    stanford_dogs_breeds: list[str]
    image_size: ImageSize
    resize: Literal["crop", "pad", "squash"]
    max_pixels: Count
    max_refused: Annotated[Number, Field(ge=0, le=1)]
    duplicate_distance: Annotated[int, Field(ge=0, le=64)]


class Split(Section):
    """Shares of each breed's photos."""

    test: Annotated[Number, Field(gt=0, lt=1)]
    val: Annotated[Number, Field(gt=0, lt=1)]

    @pydantic.model_validator(mode="after")
    def _leaves_photos_to_train(self) -> "Split":
        if self.test + self.val >= 1:
            raise ValueError(f"test and val together should be less than 1, they are {self.test + self.val:g}")
        return self


class Augment(Section):
    """The random views of a training photo."""

    copies: Annotated[int, Field(ge=0)]
    rotation: Annotated[Number, Field(ge=0, le=180)]
    zoom: Annotated[Number, Field(ge=0, le=0.9)]  # 0.99 would take a gigabyte of reflections around a picture
    flip: bool
    brightness: Share
    contrast: Share


class Backbone(Section):
    """A pretrained network."""

    network: NetworkName
    weights: WeightsFile
    image_size: ImageSize
    finetune_layers: Count


class Training(Section):
    """What every stage that trains has."""

    steps: Count
    passes: Annotated[int, Field(ge=0)]
    batch_size: Count
    class_balance: Literal["none", "weights", "sampling"]
    optimizer: Literal["adamw", "sgd"]
    learning_rate: Annotated[Number, Field(gt=0)]
    weight_decay: Annotated[Number, Field(ge=0)]
    dropout: Share
    label_smoothing: Share
    validate_every: Count
    patience: Count

    @property
    def looks(self) -> int:
        """How often val is looked at: `steps` are rounded up to whole looks."""
        return math.ceil(self.steps / self.validate_every)

    def for_photos(self, photos: int) -> Self:
        """These settings with steps enough for `passes` over so many training photos, in as many looks at val."""
        every = math.ceil(self.passes * photos / (self.batch_size * self.looks))
        if every <= self.validate_every:
            return self
        return self.model_copy(update={"validate_every": every, "steps": every * self.looks})


class Scratch(Training):
    """The small CNN."""

    image_size: ImageSize


class Evaluate(Section):
    """The comparison on the test photos."""

    confidence_level: Annotated[Number, Field(gt=0, lt=1)]
    target_accuracy: Annotated[Number, Field(gt=0, le=1)]
    turned_away: Annotated[Number, Field(gt=0, lt=1)]
    views: Annotated[int, Field(ge=1, le=2)]


class Export(Section):
    """The best model in other formats."""

    parity_photos: Count
    int8: bool


class Compute(Section):
    """Where photos are read and frozen networks are run."""

    engine: Literal["local", "ray"]
    address: Address


class Params(Section):
    """The whole of params.yaml."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data: Data
    split: Split
    augment: Augment
    backbones: Annotated[dict[BackboneName, Backbone], Field(min_length=1)]
    main_backbone: str
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]
    train_scratch: Scratch
    transfer: Training
    finetune: Training
    evaluate: Evaluate
    export: Export
    compute: Compute

    @pydantic.model_validator(mode="after")
    def _fits_together(self) -> "Params":
        if len({name.lower() for name in self.backbones}) < len(self.backbones):
            raise ValueError(
                "backbones should have names that differ in more than case: on a Mac and on Windows they name the same "
                f"files. Received: {', '.join(self.backbones)}"
            )
        if self.main_backbone not in self.backbones:
            raise ValueError(
                f"main_backbone should be one of backbones: {', '.join(self.backbones)}. Received: {self.main_backbone}"
            )
        known, unknown = Path(self.data.source).resolve(), Path(self.data.unknown).resolve()
        if unknown.is_relative_to(known) or known.is_relative_to(unknown):
            raise ValueError(
                f"data.unknown should lie apart from data.source, {self.data.source}. Received: {self.data.unknown}"
            )
        sizes = {f"backbones.{name}.image_size": backbone.image_size for name, backbone in self.backbones.items()}
        for key, size in {**sizes, "train_scratch.image_size": self.train_scratch.image_size}.items():
            if size > self.data.image_size:
                raise ValueError(
                    f"{key} should be at most data.image_size, {self.data.image_size}, in which pictures are kept. "
                    f"Received: {size}"
                )
        return self

    @property
    def families(self) -> dict[str, tuple[str, ...]]:
        """The models by the network that they have in common, see `list_families`."""
        return list_families(self.backbones)

    @property
    def models(self) -> tuple[str, ...]:
        """The names of all models."""
        return tuple(model for family in self.families.values() for model in family)


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys of the section at ``location``; () is the whole file."""
    section: Any = Params
    for name in location:
        of_each = get_args(section)  # of a section with one like the other in it, by name
        section = of_each[1] if of_each else section.model_fields[name].annotation
    return list(section.model_fields)


def _in_words(error: Any) -> str:
    """One line that names the key, what it allows and what it got."""
    location = tuple(name for name in error["loc"] if name != "[key]")
    key = ".".join(map(str, location))
    if error["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(known)}."
        return f"{key} is no parameter: {hint}"
    if error["type"] == "missing":
        return f"{key} is missing."
    if error["type"] == "model_type":
        keys = ", ".join(_known_keys(location))
        return f"{key or 'the file'} should be a section with the keys {keys}. Received: {error['input']!r}"
    if error["type"] in ("dict_type", "too_short"):  # of backbones alone
        return f"{key} should be a section with one network or more, each under a name. Received: {error['input']!r}"
    expected = error["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    return f"{key} {expected}. Received: {error['input']!r}" if key else expected


def load_params(path: Path = paths.PARAMS) -> Params:
    """Read and check ``path``.

    Raises `UserError` with one line a fault: the key, what it allows, what it got.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is not here: run stages from the repository's root.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # also dates that are none, brackets without end
        raise UserError(f"{path} is no valid YAML: {error}") from None
    try:
        return Params.model_validate(content)
    except pydantic.ValidationError as error:
        raise UserError("\n".join(f"{path}: {_in_words(each)}" for each in error.errors())) from None
