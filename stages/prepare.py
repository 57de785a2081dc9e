"""Read every photo, refuse what can't be trusted, find duplicates, split, resize.

Reads   the folder that `data.source` names, one sub-folder a breed
Makes   data/prepared/{train,val,test}/<breed>/<photo>.png, with manifest.csv and refused.csv beside them,
        metrics/prepare.json, plots/class_balance.csv and .png, plots/contact_sheet.jpg
Alone   python -m stages.prepare
Cost    6 s for 936 photographs at 128 px on 2 cores; `compute` in params.yaml spreads it over several machines

Where too much of a breed is refused, nothing is made; which files and why then stands in
data/prepared.partial/refused.csv.
"""

import hashlib
import os
import shutil
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from stages.lib import charts, paths
from stages.lib.duplicates import group_labels, near_pairs, perceptual_hashes
from stages.lib.engines import Engine, start_engine
from stages.lib.errors import UserError, run
from stages.lib.outputs import whole_file, whole_folder, write_json
from stages.lib.params import Params, load_params
from stages.lib.pictures import Refused, is_clutter, read_photo, to_square
from stages.lib.splits import SPLITS, assign_splits

LONGEST_NAME = 240  # bytes; 255 are allowed, and the names of views are longer
PREDICTION_COLUMNS = {"photo", "actual", "predicted", "confidence"}
SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test"}
REFUSED_LIST = Path(f"{paths.PREPARED}.partial", "refused.csv")  # where it stands if too much is refused
LABEL_CONFLICT = "same photo in two breeds"
PHOTO_COLUMNS = ["file", "breed", "sha256", "width", "height", "hash", "mirrored"]
MANIFEST_COLUMNS = ["file", "breed", "split", "group", "sha256", "width", "height"]
REFUSED_COLUMNS = ["file", "breed", "reason", "detail"]


class TooMuchRefusedError(UserError):
    """So much is refused that it is no accident; ``refused`` lists it."""

    def __init__(self, refused: pd.DataFrame, message: str):
        super().__init__(message)
        self.refused = refused


def check_names(files: list[str]) -> None:
    """Raise `UserError`, with the first names in question, unless all of ``files`` can be told in a CSV and copied."""
    faults = []
    for file in files:
        encoded = os.fsencode(file)
        longest = max(map(len, encoded.split(b"/")))
        if longest > LONGEST_NAME or b"\r" in encoded or encoded.decode(errors="replace") != file:
            faults.append(ascii(file))
    if faults:
        raise UserError(
            f"names of photos must be UTF-8, of {LONGEST_NAME} bytes at most and without carriage return. "
            f"Received: {', '.join(faults[:5])}{', …' if len(faults) > 5 else ''} ({len(faults)}): rename them."
        )


def check_breeds(source: Path, breeds: list[str]) -> None:
    """Raise `UserError` unless ``breeds`` are two or more names that can't be taken for each other or for a split."""
    if len(breeds) < 2:
        raise UserError(
            f"data.source must hold one sub-folder a breed, two or more of them. "
            f"Received: {source} with {', '.join(breeds) or 'no sub-folder'}."
        )
    if SPLIT_NAMES.issuperset(name.lower() for name in breeds):
        raise UserError(
            f"data.source must hold one sub-folder a breed. Received: {source} with {', '.join(breeds)}, which is a "
            "split already: bring each breed's photos together in one folder, prepare splits them."
        )
    reserved = PREDICTION_COLUMNS.intersection(breeds)
    if reserved:
        raise UserError(
            f"No breed may be called {', '.join(sorted(PREDICTION_COLUMNS))}, as columns of plots/predictions/*.csv "
            f"are. Received: {', '.join(sorted(reserved))}: rename the folder."
        )
    alike = defaultdict(list)
    for name in breeds:
        alike[unicodedata.normalize("NFC", name).casefold()].append(name)
    for names in alike.values():
        if len(names) > 1:
            raise UserError(
                "Breeds' names must differ in more than case or in how Unicode spells an accent: on a Mac and on "
                f"Windows they are one folder. Received: {', '.join(map(ascii, names))}: bring them together or "
                "rename them."
            )


def refuse_links(source: Path) -> None:
    """Raise `UserError` where a link stands for a breed's folder, or leads nowhere and may have been one."""
    links = [path for path in sorted(source.iterdir()) if path.is_symlink() and not path.is_file()]
    faults = [str(path) for path in links if not is_clutter(path.name)]
    if faults:
        raise UserError(
            "A breed must be a folder, not a link to one: DVC does not follow it, so no change of its photos would be "
            f"noticed. Received: {', '.join(faults)}: put the folder itself there, or make data.source the place "
            "where the folders are."
        )


def files_below(folder: Path) -> list[Path]:
    """List the files below a breed's ``folder``, clutter left out; of a folder that is a link, the link itself.

    Raises `OSError` where a folder can't be listed: it may hold any number of photos.
    """

    def stop(error: OSError) -> NoReturn:
        raise error

    files = []
    for place, folders, names in os.walk(folder, onerror=stop):
        folders[:] = [name for name in folders if not is_clutter(name)]
        # links to folders are among the files: to be refused, not passed over
        links = [name for name in folders if Path(place, name).is_symlink()]
        files += [Path(place, name) for name in (*names, *links) if not is_clutter(name)]
    return files


def find_photos(source: Path) -> dict[str, list[str]]:
    """List each breed's files, relative to ``source`` and sorted; sub-folders of a breed belong to it.

    Only a folder is a breed: a stray file beside the breeds' folders would otherwise become a class of its own.

    Raises `UserError` where ``source`` is no folder, or its breeds or names are none that can be worked with.
    """
    if not source.is_dir():
        what = "not a folder" if source.exists() else "which does not exist; `dvc repro` makes those of data/dvc.yaml"
        raise UserError(f"data.source must be a folder with one sub-folder a breed. Received: {source}, {what}.")
    refuse_links(source)
    breeds = {
        folder.name: sorted(file.relative_to(source).as_posix() for file in files_below(folder))
        for folder in sorted(source.iterdir())
        if folder.is_dir() and not is_clutter(folder.name)
    }
    check_breeds(source, list(breeds))
    check_names([file for of_breed in breeds.values() for file in of_breed])
    return breeds


def read_and_resize(file: str, breed: str, source: Path, target: Path, max_pixels: int, side: int, resize: str) -> dict:
    """Write ``source/file`` as a square picture to ``target/file.png`` and tell what it is, or why it is refused."""
    record = {"file": file, "breed": breed, "reason": "", "detail": ""}
    try:
        image = read_photo(source / file, max_pixels)
    except Refused as refusal:
        return record | {"reason": refusal.reason, "detail": refusal.detail}
    picture = target / f"{file}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    square = to_square(image, side, resize)
    square.save(picture)
    with (source / file).open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    hash_, mirrored = perceptual_hashes(image)
    return record | {
        "sha256": digest, "width": image.width, "height": image.height, "hash": hash_, "mirrored": mirrored,
        "pixels": hashlib.sha256(square.tobytes()).digest(),
    }  # fmt: skip


def refuse_label_conflicts(records: list[dict]) -> None:
    """Refuse every photo that stands, pixel by pixel, in two breeds: nobody can tell which label is right.

    The pixels are those that the networks would see. Near duplicates in two breeds are kept (see `doubtful_labels`).
    """
    twins = defaultdict(list)
    for record in records:
        if not record["reason"]:
            twins[record["pixels"]].append(record)
    for same in twins.values():
        if len({record["breed"] for record in same}) > 1:
            files = ", ".join(record["file"] for record in same)
            for record in same:
                record.update(reason=LABEL_CONFLICT, detail=files)


def by_reason(refused: pd.DataFrame) -> dict[str, int]:
    """How many files each reason has refused, by its name."""
    return refused["reason"].value_counts().sort_index().to_dict()


def check_refused(refused: pd.DataFrame, files: dict[str, list[str]], max_refused: float) -> None:
    """Raise `TooMuchRefusedError`, naming the breeds, where more of one than the share ``max_refused`` is refused."""
    faults = [
        f"{breed}: {len(of_breed)} of {len(files[breed])} files refused ("
        + ", ".join(f"{count} {reason}" for reason, count in by_reason(of_breed).items())
        + ")"
        for breed, of_breed in refused.groupby("breed")
        if len(of_breed) > max_refused * len(files[breed])
    ]
    if not faults:
        return
    raise TooMuchRefusedError(
        refused,
        "\n".join(faults) + f"\ndata.max_refused allows {max_refused:g} of a breed's files to be refused. "
        f"{REFUSED_LIST} tells which and why: mend them, take them out of the folder, or raise data.max_refused.",
    )


def check_splits(manifest: pd.DataFrame, refused: pd.DataFrame, breeds: list[str]) -> None:
    """Raise `UserError`, naming the breeds, unless each of ``breeds`` has a photo in each split."""
    counts = pd.crosstab(manifest["breed"], manifest["split"]).reindex(index=breeds, columns=SPLITS, fill_value=0)
    faults = [
        f"{breed} has too few photos: {row.sum()} can be used, which gives "
        + ", ".join(f"{row[split]} to {split}" for split in SPLITS)
        + "".join(
            f"; {count} refused: {reason}" for reason, count in by_reason(refused[refused["breed"] == breed]).items()
        )
        for breed, row in counts[(counts == 0).any(axis=1)].iterrows()
    ]
    if faults:
        raise UserError(
            "\n".join(faults) + "\nEvery breed needs a photo in each split (near duplicates stay on one side): add "
            "photos, 30 a breed or more, or take the breed's folder away."
        )


def make_manifest(photos: pd.DataFrame, pairs: np.ndarray, test: float, val: float, seed: int) -> pd.DataFrame:
    """Add to ``photos`` the group of near duplicates that ``pairs`` make, and the split."""
    groups = group_labels(len(photos), pairs)
    splits = assign_splits(photos["breed"].tolist(), groups, photos["sha256"].tolist(), test, val, seed)
    return photos.assign(group=groups, split=splits)[MANIFEST_COLUMNS]


def move_to_splits(resized: Path, manifest: pd.DataFrame, folder: Path) -> None:
    """Move the pictures of ``manifest`` from ``resized`` to their splits' folders, and drop those of refused photos."""
    for file, split in zip(manifest["file"], manifest["split"], strict=True):
        picture = folder / split / f"{file}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        (resized / f"{file}.png").rename(picture)
    shutil.rmtree(resized)


def summarise(manifest: pd.DataFrame, pairs: np.ndarray, refused: pd.DataFrame) -> dict:
    """Count photos, breeds, splits, duplicates (exact is byte by byte) and the refused by reason."""
    digests = manifest["sha256"].to_numpy()
    exact = int((digests[pairs[:, 0]] == digests[pairs[:, 1]]).sum())
    return {
        "photos": len(manifest),
        "breeds": manifest["breed"].nunique(),
        **{split: int((manifest["split"] == split).sum()) for split in SPLITS},
        "exact_duplicate_pairs": exact,
        "near_duplicate_pairs": len(pairs) - exact,
        "refused": {"total": len(refused), **by_reason(refused)},
    }


def doubtful_labels(manifest: pd.DataFrame, pairs: np.ndarray) -> list[str]:
    """Say which near duplicates stand in two breeds; they are kept, as a hash may take two dogs for one."""
    files, breeds = manifest["file"], manifest["breed"]
    return [f"{files[one]} and {files[other]}" for one, other in pairs if breeds[one] != breeds[other]]


def draw_plots(manifest: pd.DataFrame) -> None:
    """Draw how many photos each breed has, and some of the training photos as the networks will see them."""
    balance = manifest.groupby(["breed", "split"]).size().rename("photos").reset_index()
    with whole_file(paths.PLOTS / "class_balance.csv") as partial:
        balance.to_csv(partial, index=False)
    charts.save(charts.class_balance(balance), paths.PLOTS / "class_balance.png")
    train = manifest[manifest["split"] == "train"]
    rows = {
        breed: [paths.PREPARED / "train" / f"{file}.png" for file in photos["file"].head(charts.SHEET_COLUMNS)]
        for breed, photos in train.groupby("breed")
    }
    charts.save(
        charts.contact_sheet(rows, "Training pictures, as the networks see them"), paths.PLOTS / "contact_sheet.jpg"
    )


def make_prepared(
    params: Params, breeds: dict[str, list[str]], engine: Engine
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Make data/prepared of the files in ``breeds``; return the manifest, its pairs of duplicates, what is refused."""
    data = params.data
    source = Path(data.source)
    files = [source / file for of_breed in breeds.values() for file in of_breed]
    with whole_folder(paths.PREPARED, files=len(files)) as folder:
        resized = folder / "resized"

        def read(path: Path) -> dict:
            file = path.relative_to(source)
            return read_and_resize(
                file.as_posix(), file.parts[0], source, resized, data.max_pixels, data.image_size, data.resize
            )

        records = engine.map(read, files, what="prepare", folder=folder)
        refuse_label_conflicts(records)
        refused = pd.DataFrame([record for record in records if record["reason"]], columns=REFUSED_COLUMNS)
        check_refused(refused, breeds, data.max_refused)
        photos = pd.DataFrame([record for record in records if not record["reason"]], columns=PHOTO_COLUMNS)
        hashes, mirrored = (photos[column].to_numpy(np.uint64) for column in ("hash", "mirrored"))
        pairs = near_pairs(hashes, mirrored, data.duplicate_distance)
        manifest = make_manifest(photos, pairs, params.split.test, params.split.val, params.seed)
        check_splits(manifest, refused, list(breeds))
        move_to_splits(resized, manifest, folder)
        manifest.to_csv(folder / "manifest.csv", index=False)
        refused.to_csv(folder / "refused.csv", index=False)
    return manifest, pairs, refused


def main() -> None:
    """Run the stage."""
    params = load_params()
    breeds = find_photos(Path(params.data.source))
    try:
        with start_engine(params.compute.engine, params.compute.address) as engine:
            manifest, pairs, refused = make_prepared(params, breeds, engine)
    except TooMuchRefusedError as error:
        REFUSED_LIST.parent.mkdir(parents=True)
        error.refused.to_csv(REFUSED_LIST, index=False)
        raise
    write_json(paths.METRICS / "prepare.json", summarise(manifest, pairs, refused))
    draw_plots(manifest)
    counts = ", ".join(f"{(manifest['split'] == split).sum()} {split}" for split in SPLITS)
    print(f"{len(manifest)} photos of {len(breeds)} breeds: {counts}; {len(refused)} refused")
    for row in refused.itertuples():
        print(f"refused: {row.file}: {row.reason}")
    for both in doubtful_labels(manifest, pairs):
        print(f"alike in two breeds, look whether both labels are right: {both}")


if __name__ == "__main__":
    run(main)
