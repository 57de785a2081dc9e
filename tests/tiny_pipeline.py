"""The pipeline with settings as small as they may be, on photos of blurred noise."""

from pathlib import Path

import numpy as np
import yaml
from PIL import Image
from pipeline_fixtures import ROOT, Repository

BREEDS = ["Akita", "Borzoi", "Corgi"]
PHOTOS_PER_BREED = 16
TINY = {"steps": 6, "validate_every": 3, "batch_size": 8}
BACKBONE = "VGG16"  # which has the fewest layers, and so is built fastest
WEIGHTS = f"data/weights/{BACKBONE}-bundled.weights.h5"
STAGES = [  # in which the whole pipeline runs on photos of one's own
    "prepare",
    "augment",
    "data/dvc.yaml:bundled_weights",
    "features",
    "train_scratch@plain",
    "train_scratch@augmented",
    "transfer@plain",
    "transfer@augmented",
    "finetune",
    "data_size",
    "label_errors",
    "predictions_scratch",
    "predictions_pretrained",
    "evaluate",
    "explain",
    "report",
    "convert",
    "export",
]


def draw_photos(folder: Path, seed: int) -> None:
    """Blurred noise, a different one for each photo."""
    generator = np.random.default_rng(seed)
    for breed in BREEDS:
        (folder / breed).mkdir(parents=True)
        for number in range(PHOTOS_PER_BREED):
            noise = generator.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(noise).resize((48, 40), Image.Resampling.BICUBIC).save(folder / breed / f"{number:02}.jpg")


def tiny_params() -> dict:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["data"] |= {"source": "photos", "image_size": 32}
    params["augment"]["copies"] = 2
    params["backbone"] |= {"name": BACKBONE, "weights": WEIGHTS}
    params["precision"] = "float32"
    for section in ("train_scratch", "transfer", "finetune"):
        params[section] |= TINY
    return params


def new_repository(root: Path, params: dict) -> Repository:
    repository = Repository(root)
    draw_photos(root / "photos", seed=1)
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    repository.commit()
    return repository
