"""Read every photo, refuse what can't be trusted, find duplicates, split, resize.

Reads   the folder that `data.source` names, one sub-folder a breed; data/label_fixes.csv: what a person decided about
        labels, which no photo is touched for
Makes   data/prepared/{train,val,test}/<breed>/<photo>.png, with manifest.csv, groups.csv and refused.csv beside them,
        metrics/prepare.json, plots/class_balance.csv
Alone   python -m stages.prepare
Cost    5 s for 936 photographs at 260 px on 2 cores; `compute` in params.yaml spreads it over several machines

Where too much of a breed is refused, nothing is made; which files and why then stands in
data/prepared.partial/refused.csv.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.lib.core.outputs import whole_file, whole_folder, write_json
from stages.lib.core.params import Params, load_params
from stages.lib.core.splits import SPLITS
from stages.lib.engines.engine import Engine, start_engine
from stages.lib.images.duplicates import near_pairs, perceptual_hashes
from stages.lib.images.folders import find_photos
from stages.lib.images.label_fixes import LabelFix, apply_label_fixes, read_label_fixes
from stages.lib.images.manifest import (
    DROPPED,
    MANIFEST_COLUMNS,
    check_splits,
    doubtful_labels,
    make_manifest,
    summarise,
)
from stages.lib.images.photos import Refused, read_photo, write_square
from stages.lib.images.refusals import REFUSED_LIST, TooMuchRefusedError, check_refused, refuse_label_conflicts

PHOTO_COLUMNS = ["file", "breed", "sha256", "width", "height", "hash", "mirrored", "label", "label_fix"]
REFUSED_COLUMNS = ["file", "breed", "reason", "detail"]


def read_and_resize(
    file: str, breed: str, source: Path, target: Path, max_pixels: int, side: int, resize: str
) -> dict[str, Any]:
    """Write ``source/file`` as a square picture to ``target/file.png`` and tell what it is, or why it is refused."""
    record = {"file": file, "breed": breed, "reason": "", "detail": ""}
    try:
        image = read_photo(source / file, max_pixels)
    except Refused as refusal:
        return record | {"reason": refusal.reason, "detail": refusal.detail}
    square = write_square(image, side, resize, target / f"{file}.png")
    with (source / file).open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    hash_, mirrored = perceptual_hashes(image)
    return record | {
        "sha256": digest, "width": image.width, "height": image.height, "hash": hash_, "mirrored": mirrored,
        "pixels": hashlib.sha256(square.tobytes()).digest(),
    }  # fmt: skip


def move_to_splits(resized: Path, manifest: pd.DataFrame, folder: Path) -> None:
    """Move the pictures of ``manifest`` from ``resized`` to their splits' folders, and drop those that are not used."""
    used = manifest[manifest["split"] != DROPPED]
    for file, split, source_file in zip(used["file"], used["split"], used["source_file"], strict=True):
        picture = folder / split / f"{file}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        (resized / f"{source_file}.png").rename(picture)
    shutil.rmtree(resized)


def make_prepared(
    params: Params, breeds: dict[str, list[str]], fixes: list[LabelFix], engine: Engine
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame, list[str]]:
    """Make data/prepared of the files in ``breeds``.

    Returns the manifest, its pairs of duplicates, what is refused, and which ``fixes`` are about no photo.
    """
    data = params.data
    source = Path(data.source)
    files = [source / file for of_breed in breeds.values() for file in of_breed]
    with whole_folder(paths.PREPARED, files=len(files)) as folder:
        resized = folder / "resized"

        def read(path: Path) -> dict[str, Any]:
            file = path.relative_to(source)
            return read_and_resize(
                file.as_posix(), file.parts[0], source, resized, data.max_pixels, data.image_size, data.resize
            )

        records = engine.map(read, files, what="prepare", folder=folder)
        idle = apply_label_fixes(records, fixes, breeds, paths.LABEL_FIXES)
        refuse_label_conflicts(records)
        refused = pd.DataFrame([record for record in records if record["reason"]], columns=REFUSED_COLUMNS)
        check_refused(refused, breeds, data.max_refused)
        photos = pd.DataFrame([record for record in records if not record["reason"]], columns=PHOTO_COLUMNS)
        hashes, mirrored = (photos[column].to_numpy(np.uint64) for column in ("hash", "mirrored"))
        pairs = near_pairs(hashes, mirrored, data.duplicate_distance)
        manifest = make_manifest(photos, pairs, params.split.test, params.split.val, params.seed)
        check_splits(manifest, refused, list(breeds))
        move_to_splits(resized, manifest, folder)
        listed = manifest.sort_values(["breed", "file"], kind="stable")[MANIFEST_COLUMNS]
        listed.to_csv(folder / "manifest.csv", index=False)
        # of the manifest what features reads, so that a label that is kept as it is runs no network again
        listed.loc[listed["split"] != DROPPED, ["file", "group"]].to_csv(folder / "groups.csv", index=False)
        refused.to_csv(folder / "refused.csv", index=False)
    return manifest, pairs, refused, idle


def main() -> None:
    """Run the stage."""
    params = load_params()
    breeds = find_photos(Path(params.data.source))
    fixes = read_label_fixes(paths.LABEL_FIXES)
    try:
        with start_engine(params.compute.engine, params.compute.address) as engine:
            manifest, pairs, refused, idle = make_prepared(params, breeds, fixes, engine)
    except TooMuchRefusedError as error:
        REFUSED_LIST.parent.mkdir(parents=True)
        error.refused.to_csv(REFUSED_LIST, index=False)
        raise
    write_json(paths.METRICS / "prepare.json", summarise(manifest, pairs, refused, len(idle)))
    used = manifest[manifest["split"] != DROPPED]
    balance = used.groupby(["breed", "split"]).size().rename("photos").reset_index()
    with whole_file(paths.PLOTS / "class_balance.csv") as partial:
        balance.to_csv(partial, index=False)
    counts = ", ".join(f"{(used['split'] == split).sum()} {split}" for split in SPLITS)
    print(f"{len(used)} photos of {len(breeds)} breeds: {counts}; {len(refused)} refused")
    for row in refused.itertuples():
        print(f"refused: {row.file}: {row.reason}")
    for line in idle:
        print(f"decided in {paths.LABEL_FIXES}: {line}")
    for both in doubtful_labels(manifest, pairs):
        print(f"alike in two breeds, look whether both labels are right: {both}")


if __name__ == "__main__":
    run(main)
