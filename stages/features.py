"""Run a frozen backbone over every training and val photo, or over every view, once.

Reads   of photos data/prepared/{train,val}, data/prepared/groups.csv, the file that `backbones.<backbone>.weights`
        names; of views data/augmented/augmented, and what was made of photos
Makes   data/features/<backbone>/plain/{train,val}.npy: pooled features of the photos, float32 (pictures, channels), and
        in {train,val}.csv what each row shows; data/features/<backbone>/backbone.keras: the network, which transfer
        puts its heads on; data/activations/<backbone>/photos/{train,val}: the activations below the first layer that
        finetune trains, float16;
        of views data/features/<backbone>/augmented, which has the rows of the photos first, and
        data/activations/<backbone>/views; of both metrics/costs/features/<backbone>/{photos,views}.json
Alone   python -m stages.features VGG16 photos, or another of `backbones`, or views
Cost    9 s for 704 photos and 18 s for 2,436 views in VGG16 at 128 px, 11 and 17 in EfficientNetLite2 at 260, on 2
        cores, in bfloat16; `compute` in params.yaml spreads it over several machines
"""

import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from stages.lib.backbones.build import build_backbone
from stages.lib.backbones.cutting import cut_below, last_layers
from stages.lib.backbones.folding import fold_batch_norm
from stages.lib.core import paths
from stages.lib.core.arrays import write_rows
from stages.lib.core.errors import run
from stages.lib.core.models import parse_choices
from stages.lib.core.outputs import scratch_folder, whole_folder, write_json
from stages.lib.core.params import load_params
from stages.lib.core.progress import Progress
from stages.lib.datasets.features import describe_photos, describe_views, read_rows
from stages.lib.datasets.pictures import find_pictures, picture_batches
from stages.lib.engines.engine import start_engine
from stages.lib.networks.classifiers import pool
from stages.lib.networks.model_files import save_network
from stages.lib.networks.precision import choose_precision, set_precision

BATCH_SIZE = 32
OF_TRAINING = ("val", "train")  # the splits that are no test
VARIANT = {"photos": "plain", "views": "augmented"}  # that trains on them


class Part(NamedTuple):
    """The pictures of a split that the backbone shall run over."""

    split: str
    files: list[Path]
    shown: pd.DataFrame  # see `describe_photos`; of photos and files, where the files are views
    photos: np.ndarray  # float32 (photos, channels): the features that come before those of files that are views


def list_photos(channels: int) -> list[Part]:
    """All photos of train and val."""
    parts = []
    for split in OF_TRAINING:
        files, _ = find_pictures(paths.PREPARED / split)
        parts.append(Part(split, files, describe_photos(files, split), np.empty((0, channels), np.float32)))
    return parts


def list_views(backbone: str) -> list[Part]:
    """All views, and what was made of the photos; val has photos alone."""
    parts = []
    for split in OF_TRAINING:
        photos, shown = read_rows(split, paths.FEATURES / backbone / "plain")
        views, _ = find_pictures(paths.VIEWS) if split == "train" else ([], [])
        parts.append(Part(split, views, pd.concat([shown, describe_views(views, shown)]), photos[:]))
    return parts


def below_and_pooled(backbone: keras.Model, layers: int) -> keras.Model:
    """``backbone`` with two outputs: the activations below its last ``layers`` layers, and its pooled features."""
    cut = cut_below(backbone, last_layers(backbone.layers, layers))
    return keras.Model(backbone.input, [cut.output, pool(backbone.output)])


def run_frozen(model: keras.Model, files: list[Path]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Run ``model`` over pictures, and give its two outputs batch by batch, as they are kept: float16 and float32."""
    for batch in picture_batches(files, BATCH_SIZE, model.input_shape[1]):
        inner, pooled = model.predict_on_batch(batch)
        yield inner.astype(np.float16), pooled.astype(np.float32)


def write_part(
    part: Part,
    batches: Iterator[tuple[np.ndarray, np.ndarray]],
    shapes: tuple[tuple[int, ...], ...],
    activations: Path,
    features: Path,
) -> None:
    """Write what `run_frozen` gives for ``part`` to two folders, batch by batch, as it comes, and what the rows show.

    ``shapes`` are those of the model's outputs.
    """
    inner_shape, pooled_shape = (shape[1:] for shape in shapes)
    count = len(part.files)
    array, table = f"{part.split}.npy", f"{part.split}.csv"
    with (
        write_rows(activations / array, (count, *inner_shape), np.float16) as append_activations,
        write_rows(features / array, (len(part.shown), *pooled_shape), np.float32) as append_features,
        Progress(desc=f"features on {part.split}", total=count, unit="picture") as bar,
    ):
        append_features(part.photos)
        for inner, pooled in islice(batches, math.ceil(count / BATCH_SIZE)):
            append_activations(inner)
            append_features(pooled)
            bar.update(len(pooled))
    part.shown.to_csv(features / table, index=False)
    part.shown.tail(count).to_csv(activations / table, index=False)


def main() -> None:
    """Run the stage."""
    params = load_params()
    name, pictures = parse_choices(__doc__, backbone=params.backbones, pictures=VARIANT)
    settings = params.backbones[name]
    policy, reason = choose_precision(params.precision)
    set_precision(policy)
    backbone = build_backbone(settings.network, settings.image_size, Path(settings.weights))
    model = fold_batch_norm(below_and_pooled(backbone, settings.finetune_layers))  # the kept backbone may train yet
    parts = list_photos(model.output_shape[1][-1]) if pictures == "photos" else list_views(name)

    start = time.perf_counter()
    with (
        start_engine(params.compute.engine, params.compute.address) as engine,
        whole_folder(paths.FEATURES / name / VARIANT[pictures]) as features,
        whole_folder(paths.ACTIVATIONS / name / pictures) as activations,
        scratch_folder(paths.ACTIVATIONS / name / pictures) as shards,
    ):
        batches = engine.batches(model, run_frozen, [part.files for part in parts], BATCH_SIZE, shards)
        for part in parts:
            write_part(part, batches, model.output_shape, activations, features)
    if pictures == "photos":
        save_network(backbone, paths.FEATURES / name / "backbone.keras")
    seconds, count = time.perf_counter() - start, sum(len(part.files) for part in parts)
    costs = {"seconds": round(seconds, 1), "pictures_per_second": round(count / seconds, 1), "precision": policy}
    write_json(paths.FEATURE_COSTS / name / f"{pictures}.json", costs)
    print(f"features of {name}: {count} {pictures}, {count / seconds:.0f} a second, in {policy} ({reason})")


if __name__ == "__main__":
    run(main)
