"""Run the frozen part of the backbone over every training and val photo and every view, once.

Reads   data/prepared/{train,val}, data/augmented, the file that `backbone.weights` names
Makes   data/features/{plain,augmented}/{train,val}.npy: pooled features of what each variant trains on and of val,
        float32 (pictures, channels), with the pictures' breeds in {train,val}.csv;
        data/activations/{train,val}.npy: of the same pictures, the activations below the first layer that finetune
        trains, float16, with {train,val}.csv
Alone   python -m stages.features
Cost    49 s for 2,947 pictures at 128 px on 2 cores, in bfloat16
"""

from pathlib import Path

import keras
import numpy as np
from PIL import Image
from tqdm import tqdm

from stages.lib import paths
from stages.lib.backbones import build_backbone, cut_below, last_layers
from stages.lib.classifiers import pool
from stages.lib.datasets import picture_batches, write_breeds, write_features
from stages.lib.errors import run
from stages.lib.outputs import reserve_room, whole_folder
from stages.lib.params import load_params
from stages.lib.pictures import find_pictures
from stages.lib.precision import set_precision

BATCH_SIZE = 32


def run_frozen(model: keras.Model, files: list[Path], activations_file: Path, what: str) -> np.ndarray:
    """Run ``model`` over pictures: its activations go to a file as they are made, its pooled features are returned."""
    shape = (len(files), *model.outputs[0].shape[1:])
    activations = np.lib.format.open_memmap(activations_file, mode="w+", dtype=np.float16, shape=shape)
    reserve_room(activations_file, paths.ACTIVATIONS)
    pooled = np.empty((len(files), model.outputs[1].shape[-1]), np.float32)
    done = 0
    with tqdm(desc=what, total=len(files), unit="picture", mininterval=1) as bar:
        for batch in picture_batches(files, BATCH_SIZE):
            inner, features = model.predict_on_batch(batch)
            part = slice(done, done + len(inner))
            activations[part], pooled[part] = inner, features
            done = part.stop
            bar.update(len(inner))
    return pooled


def main() -> None:
    """Run the stage."""
    params = load_params()
    set_precision(params.precision)
    train = paths.PREPARED / "train"
    photos, _ = find_pictures(train)
    files, breeds = find_pictures(train, paths.AUGMENTED / "augmented")  # the photos, then their views
    val_files, val_breeds = find_pictures(paths.PREPARED / "val")

    with Image.open(files[0]) as picture:
        image_size = picture.width
    backbone = build_backbone(params.backbone.name, image_size, Path(params.backbone.weights))
    cut = cut_below(backbone, last_layers(backbone.layers, params.finetune.layers))
    model = keras.Model(backbone.input, [cut.output, pool(backbone.output)])

    with whole_folder(paths.FEATURES) as features, whole_folder(paths.ACTIVATIONS) as activations:
        val_pooled = run_frozen(model, val_files, activations / "val.npy", "features of val")
        pooled = run_frozen(model, files, activations / "train.npy", "features of train")
        write_breeds(val_breeds, activations, "val")
        write_breeds(breeds, activations, "train")
        for variant, count in (("plain", len(photos)), ("augmented", len(files))):
            (features / variant).mkdir()
            write_features(val_pooled, val_breeds, features / variant, "val")
            write_features(pooled[:count], breeds[:count], features / variant, "train")


if __name__ == "__main__":
    run(main)
