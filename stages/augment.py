"""Make random views of each training photo.

Reads   data/prepared/train
Makes   data/augmented/augmented/<breed>/<photo>.<copy>.jpg, data/augmented/{augmented,plain}/views.csv, a list for
        people (without augmentation there is no view, so that one is empty)
Alone   python -m stages.augment
Cost    8 s for 4 views each of 609 training photos at 260 px, on 2 cores
"""

from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.lib.core.outputs import whole_folder
from stages.lib.core.parallel import in_parallel
from stages.lib.core.params import Augment, load_params
from stages.lib.datasets.pictures import find_pictures
from stages.lib.images.views import random_view, view_generator

TRAIN = paths.PREPARED / "train"
QUALITY = 95  # of JPEG, which takes a quarter of what PNG does


def make_views(picture: Path, target: Path, seed: int, settings: Augment) -> list[dict[str, Any]]:
    """Write the views of a training photo below ``target`` and list them."""
    content = picture.read_bytes()
    photo = picture.relative_to(TRAIN)
    rows = []
    with Image.open(picture) as image:
        for copy in range(settings.copies):
            view = photo.with_suffix(f".{copy}.jpg")
            (target / view).parent.mkdir(parents=True, exist_ok=True)
            random_view(
                image,
                view_generator(seed, content, copy),
                settings.rotation,
                settings.zoom,
                settings.flip,
                settings.brightness,
                settings.contrast,
            ).save(target / view, quality=QUALITY, subsampling="4:4:4")
            rows.append({"view": view.as_posix(), "photo": photo.as_posix(), "copy": copy})
    return rows


def main() -> None:
    """Run the stage."""
    params = load_params()
    pictures, _ = find_pictures(TRAIN)
    with whole_folder(paths.AUGMENTED, files=len(pictures) * params.augment.copies) as folder:
        target = folder / "augmented"
        target.mkdir()
        (folder / "plain").mkdir()

        def views_of(picture: Path) -> list[dict[str, Any]]:
            return make_views(picture, target, params.seed, params.augment)

        made = [row for rows in in_parallel(views_of, pictures, what="augment") for row in rows]
        views = pd.DataFrame(made, columns=["view", "photo", "copy"])
        views.to_csv(target / "views.csv", index=False)
        views.head(0).to_csv(folder / "plain" / "views.csv", index=False)
    print(f"augment: {len(views)} views of {len(pictures)} training photos")


if __name__ == "__main__":
    run(main)
