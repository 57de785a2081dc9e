"""The pipeline with one backbone and settings as small as they may be, on photos of blurred, tinted noise."""

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from pipeline_fixtures import Repository, read_params

from stages.lib.core.models import finetune_model, list_families, transfer_model

BREEDS = ["Akita", "Borzoi", "Corgi"]
PHOTOS_PER_BREED = 16
UNKNOWN = 6  # photos of anything else
TINY = {"steps": 6, "validate_every": 3, "batch_size": 8, "passes": 0}
BACKBONE = "VGG16"  # which has the fewest layers, and so is built fastest
WEIGHTS = "data/weights/VGG16-bundled.weights.h5"
TRANSFER, FINETUNE = transfer_model(BACKBONE, "plain"), finetune_model(BACKBONE)
STAGES = [  # in which the whole pipeline runs on photos of one's own
    "prepare",
    "prepare_unknown",
    "augment",
    "data/dvc.yaml:bundled_weights",
    f"features@{BACKBONE}",
    f"view_features@{BACKBONE}",
    "train_scratch@plain",
    "train_scratch@augmented",
    f"transfer@{BACKBONE}-plain",
    f"transfer@{BACKBONE}-augmented",
    f"finetune@{BACKBONE}",
    "data_size",
    f"leave_breeds_out@{BACKBONE}",
    "label_errors",
    "predictions_scratch",
    f"predictions@{BACKBONE}",
    "evaluate",
    "explain",
    "report",
    "convert",
    "export",
]


def list_models(backbones: Iterable[str]) -> list[str]:
    return [model for family in list_families(backbones).values() for model in family]


MODELS = list_models([BACKBONE])


def draw_photos(folder: Path, seed: int) -> None:
    """Blurred noise, a different one for each photo, and a colour for each breed: there is something to learn."""
    generator = np.random.default_rng(seed)
    for channel, breed in enumerate(BREEDS):
        (folder / breed).mkdir(parents=True)
        for number in range(PHOTOS_PER_BREED):
            noise = generator.integers(0, 256, (8, 8, 3), np.uint8)
            noise[..., channel] |= 128
            Image.fromarray(noise).resize((48, 40), Image.Resampling.BICUBIC).save(folder / breed / f"{number:02}.jpg")


def draw_unknown(folder: Path) -> None:
    """Stripes, one of them in a sub-folder, and a file that is no photo."""
    (folder / "cats").mkdir(parents=True)
    generator = np.random.default_rng(9)
    for number in range(UNKNOWN):
        stripes = np.tile(generator.integers(0, 256, (1, 16, 3), np.uint8), (12, 1, 1))
        picture = Image.fromarray(stripes).resize((64, 48), Image.Resampling.NEAREST)
        picture.save(folder / ("cats" if number == 0 else "") / f"stripes_{number}.png")
    (folder / "notes.txt").write_text("no photo")


def vgg16(image_size: int) -> dict:
    """A section of `backbones`, in pixels a side."""
    return {"network": "VGG16", "weights": WEIGHTS, "image_size": image_size, "finetune_layers": 3}


def tiny_params() -> dict:
    params = read_params()
    params["data"] |= {"source": "photos", "unknown": "unknown", "image_size": 48}  # more than the networks take
    params["augment"]["copies"] = 2
    params["backbones"] = {BACKBONE: vgg16(image_size=32)}
    params["main_backbone"] = BACKBONE
    params["precision"] = "float32"
    params["train_scratch"]["image_size"] = 32
    for section in ("train_scratch", "transfer", "finetune"):
        params[section] |= TINY
    return params


def save_params(repository: Repository, params: dict) -> None:
    (repository.root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def new_repository(root: Path, params: dict, python: str = sys.executable) -> Repository:
    repository = Repository(root, python)
    draw_photos(root / "photos", seed=1)
    draw_unknown(root / "unknown")
    save_params(repository, params)
    repository.commit()
    return repository
