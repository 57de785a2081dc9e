"""Run a frozen backbone over every training and val photo and every view, once.

Reads   data/prepared/{train,val}, data/augmented, the file that `backbones.<backbone>.weights` names
Makes   data/features/<backbone>/{plain,augmented}/{train,val}.npy: pooled features of what each variant trains on and
        of val, float32 (pictures, channels), with the pictures' breeds in {train,val}.csv;
        data/features/<backbone>/backbone.keras: the network, which transfer puts its heads on;
        data/activations/<backbone>/{train,val}.npy: of the same pictures, the activations below the first layer that
        finetune trains, float16, with {train,val}.csv; metrics/costs/features/<backbone>.json
Alone   python -m stages.features VGG16, or another of `backbones`
Cost    89 s for 3,140 pictures in VGG16 at 128 px, 34 in EfficientNetLite2 at 260, on 2 cores, in bfloat16; `compute`
        in params.yaml spreads it over several machines
"""

import math
import shutil
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

import keras
import numpy as np

from stages.lib.backbones.build import build_backbone
from stages.lib.backbones.cutting import cut_below, last_layers
from stages.lib.backbones.folding import fold_batch_norm
from stages.lib.core import paths
from stages.lib.core.arrays import Rows, write_rows
from stages.lib.core.errors import run
from stages.lib.core.models import parse_choices
from stages.lib.core.outputs import scratch_folder, whole_folder, write_json
from stages.lib.core.params import load_params
from stages.lib.core.progress import Progress
from stages.lib.datasets.features import write_breeds
from stages.lib.datasets.pictures import find_pictures, picture_batches
from stages.lib.engines.engine import start_engine
from stages.lib.networks.classifiers import pool
from stages.lib.networks.model_files import save_network
from stages.lib.networks.precision import choose_precision, set_precision

BATCH_SIZE = 32


def run_frozen(model: keras.Model, files: list[Path]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Run ``model`` over pictures, and give its two outputs batch by batch, as they are kept: float16 and float32."""
    for batch in picture_batches(files, BATCH_SIZE, model.input_shape[1]):
        inner, pooled = model.predict_on_batch(batch)
        yield inner.astype(np.float16), pooled.astype(np.float32)


def below_and_pooled(backbone: keras.Model, layers: int) -> keras.Model:
    """``backbone`` with two outputs: the activations below its last ``layers`` layers, and its pooled features."""
    cut = cut_below(backbone, last_layers(backbone.layers, layers))
    return keras.Model(backbone.input, [cut.output, pool(backbone.output)])


def write_frozen(
    batches: Iterator[tuple[np.ndarray, np.ndarray]], count: int, activations_file: Path, features_file: Path, what: str
) -> None:
    """Write what `run_frozen` gives for the next ``count`` pictures to files, batch by batch, as it comes."""
    with Progress(desc=what, total=count, unit="picture") as bar:
        first = next(batches)
        activations, features = (output.shape[1:] for output in first)
        with (
            write_rows(activations_file, (count, *activations), np.float16) as append_activations,
            write_rows(features_file, (count, *features), np.float32) as append_features,
        ):
            for inner, pooled in chain([first], islice(batches, math.ceil(count / BATCH_SIZE) - 1)):
                append_activations(inner)
                append_features(pooled)
                bar.update(len(pooled))


def main() -> None:
    """Run the stage."""
    params = load_params()
    (name,) = parse_choices(__doc__, backbone=params.backbones)
    settings = params.backbones[name]
    policy, reason = choose_precision(params.precision)
    set_precision(policy)
    train = paths.PREPARED / "train"
    photos, _ = find_pictures(train)
    files, breeds = find_pictures(train, paths.AUGMENTED / "augmented")  # the photos, then their views
    val_files, val_breeds = find_pictures(paths.PREPARED / "val")

    backbone = build_backbone(settings.network, settings.image_size, Path(settings.weights))
    model = fold_batch_norm(below_and_pooled(backbone, settings.finetune_layers))  # the kept backbone may train yet
    start = time.perf_counter()
    with (
        start_engine(params.compute.engine, params.compute.address) as engine,
        whole_folder(paths.FEATURES / name) as folder,
        whole_folder(paths.ACTIVATIONS / name) as activations,
        scratch_folder(paths.ACTIVATIONS / name) as shards,
    ):
        plain, augmented = folder / "plain", folder / "augmented"
        plain.mkdir()
        augmented.mkdir()
        batches = engine.batches(model, run_frozen, [val_files, files], BATCH_SIZE, shards)
        for split, count in (("val", len(val_files)), ("train", len(files))):
            what = f"{name} on {split}"
            write_frozen(batches, count, activations / f"{split}.npy", augmented / f"{split}.npy", what)
        shutil.copyfile(augmented / "val.npy", plain / "val.npy")
        np.save(plain / "train.npy", Rows(augmented / "train.npy")[: len(photos)])
        for target, count in ((activations, len(files)), (augmented, len(files)), (plain, len(photos))):
            write_breeds(val_breeds, target, "val")
            write_breeds(breeds[:count], target, "train")
        save_network(backbone, folder / "backbone.keras")
    seconds = time.perf_counter() - start
    rate = (len(files) + len(val_files)) / seconds
    costs = {"seconds": round(seconds, 1), "pictures_per_second": round(rate, 1), "precision": policy}
    write_json(paths.FEATURE_COSTS / f"{name}.json", costs)
    print(f"features of {name}: {len(files) + len(val_files)} pictures, {rate:.0f} a second, in {policy} ({reason})")


if __name__ == "__main__":
    run(main)
