"""Run the frozen part of the backbone over every training and val photo and every view, once.

Reads   data/prepared/{train,val}, data/augmented, the file that `backbone.weights` names
Makes   data/features/{plain,augmented}/{train,val}.npy: pooled features of what each variant trains on and of val,
        float32 (pictures, channels), with the pictures' breeds in {train,val}.csv;
        data/activations/{train,val}.npy: of the same pictures, the activations below the first layer that finetune
        trains, float16, with {train,val}.csv; metrics/costs/features.json
Alone   python -m stages.features
Cost    50 s for 3,140 pictures at 128 px on 2 cores, in bfloat16
"""

import shutil
import time
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from tqdm import tqdm

from stages.lib import paths
from stages.lib.arrays import Rows, write_rows
from stages.lib.backbones import build_backbone, cut_below, last_layers
from stages.lib.classifiers import pool
from stages.lib.datasets import picture_batches, write_breeds
from stages.lib.errors import run
from stages.lib.outputs import whole_folder, write_json
from stages.lib.params import load_params
from stages.lib.pictures import find_pictures
from stages.lib.precision import set_precision

BATCH_SIZE = 32


def run_frozen(model: keras.Model, files: list[Path], activations_file: Path, features_file: Path, what: str) -> None:
    """Run ``model`` over pictures, and write its two outputs to files batch by batch, as they are made."""
    activations, features = (output.shape[1:] for output in model.outputs)
    with (
        write_rows(activations_file, (len(files), *activations), np.float16) as append_activations,
        write_rows(features_file, (len(files), *features), np.float32) as append_features,
        tqdm(desc=what, total=len(files), unit="picture", mininterval=1) as bar,
    ):
        for batch in picture_batches(files, BATCH_SIZE):
            inner, pooled = model.predict_on_batch(batch)
            append_activations(inner)
            append_features(pooled)
            bar.update(len(pooled))


def main() -> None:
    """Run the stage."""
    params = load_params()
    policy = set_precision(params.precision)
    train = paths.PREPARED / "train"
    photos, _ = find_pictures(train)
    files, breeds = find_pictures(train, paths.AUGMENTED / "augmented")  # the photos, then their views
    val_files, val_breeds = find_pictures(paths.PREPARED / "val")

    with Image.open(files[0]) as picture:
        image_size = picture.width
    backbone = build_backbone(params.backbone.name, image_size, Path(params.backbone.weights))
    cut = cut_below(backbone, last_layers(backbone.layers, params.finetune.layers))
    model = keras.Model(backbone.input, [cut.output, pool(backbone.output)])

    start = time.perf_counter()
    with whole_folder(paths.FEATURES) as folder, whole_folder(paths.ACTIVATIONS) as activations:
        plain, augmented = folder / "plain", folder / "augmented"
        plain.mkdir()
        augmented.mkdir()
        run_frozen(model, val_files, activations / "val.npy", augmented / "val.npy", "features of val")
        run_frozen(model, files, activations / "train.npy", augmented / "train.npy", "features of train")
        shutil.copyfile(augmented / "val.npy", plain / "val.npy")
        np.save(plain / "train.npy", Rows(augmented / "train.npy")[: len(photos)])
        for target, count in ((activations, len(files)), (augmented, len(files)), (plain, len(photos))):
            write_breeds(val_breeds, target, "val")
            write_breeds(breeds[:count], target, "train")
    seconds = time.perf_counter() - start
    rate = (len(files) + len(val_files)) / seconds
    costs = {"seconds": round(seconds, 1), "pictures_per_second": round(rate, 1), "precision": policy}
    write_json(paths.COSTS / "features.json", costs)


if __name__ == "__main__":
    run(main)
