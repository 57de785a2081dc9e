"""data/prepared/manifest.csv: a row a photo, with its split and its group of near duplicates.

``file`` is where its picture stands below its split's folder, and begins with its ``breed``, which is what it is taken
for. Where a person decided so (see `label_fixes`), that is another one than ``folder_breed``, in whose folder the photo
stands as ``source_file``, or for a photo that is dropped none: its split is `DROPPED`, and it has no picture.
"""

from typing import Any

import numpy as np
import pandas as pd

from stages.lib.core.errors import UserError
from stages.lib.core.paths import LABEL_FIXES
from stages.lib.core.splits import SPLITS
from stages.lib.images.duplicates import group_labels
from stages.lib.images.folders import CHOSEN
from stages.lib.images.label_fixes import DROP, KEEP, MOVE, moved_place
from stages.lib.images.refusals import by_reason
from stages.lib.images.splitting import assign_splits

MANIFEST_COLUMNS = [
    "file", "breed", "split", "group", "sha256", "width", "height", "source_file", "folder_breed", "label_fix",
]  # fmt: skip
DROPPED = "dropped"  # in place of a split
COUNTED = {KEEP: "kept", MOVE: "moved", DROP: "dropped"}


def make_manifest(photos: pd.DataFrame, pairs: np.ndarray, test: float, val: float, seed: int) -> pd.DataFrame:
    """Add to ``photos`` the group of near duplicates that ``pairs`` make, and the split.

    They are split by their folders, photos that a person drops among them: so a decision about a label brings no photo
    from test to train, nor out of test another one than it is about. ``folder_split`` is where a dropped one would be.
    Photos in a breed's sub-folder `CHOSEN` train.
    """
    groups = group_labels(len(photos), pairs)
    chosen = {place for place, file in enumerate(photos["file"]) if file.split("/")[1] == CHOSEN}
    splits = assign_splits(photos["breed"].tolist(), groups, photos["sha256"].tolist(), test, val, seed, chosen)
    named = [
        moved_place(file, label) if label else file for file, label in zip(photos["file"], photos["label"], strict=True)
    ]
    table = photos.assign(source_file=photos["file"], folder_breed=photos["breed"], group=groups, folder_split=splits)
    table = table.assign(
        file=named, breed=photos["label"], split=table["folder_split"].where(photos["label"] != "", DROPPED)
    )
    return table[[*MANIFEST_COLUMNS, "folder_split"]]


def check_splits(manifest: pd.DataFrame, refused: pd.DataFrame, breeds: list[str]) -> None:
    """Raise `UserError`, naming the breeds, unless each of ``breeds`` has a photo in each split."""
    counts = pd.crosstab(manifest["breed"], manifest["split"]).reindex(index=breeds, columns=SPLITS, fill_value=0)
    faults = [
        f"{breed} has too few photos: {row.sum()} can be used, which gives "
        + ", ".join(f"{row[split]} to {split}" for split in SPLITS)
        + "".join(
            f"; {count} refused: {reason}" for reason, count in by_reason(refused[refused["breed"] == breed]).items()
        )
        + _taken_away(manifest[manifest["folder_breed"] == breed])
        for breed, row in counts[(counts == 0).any(axis=1)].iterrows()
    ]
    if faults:
        raise UserError(
            "\n".join(faults) + "\nEvery breed needs a photo in each split (near duplicates stay on one side): add "
            "photos, 30 a breed or more, or take the breed's folder away."
        )


def _taken_away(of_folder: pd.DataFrame) -> str:
    """How many photos of a breed's folder a person moved elsewhere or dropped, "" for none."""
    counts = {COUNTED[action]: int((of_folder["label_fix"] == action).sum()) for action in (MOVE, DROP)}
    return "".join(f"; {count} {what} by {LABEL_FIXES}" for what, count in counts.items() if count)


def count_fixes(manifest: pd.DataFrame) -> dict[str, dict[str, int]]:
    """How many photos of each split a person kept, moved and dropped."""
    return {
        what: {
            split: int(((manifest["label_fix"] == action) & (manifest["folder_split"] == split)).sum())
            for split in SPLITS
        }
        for action, what in COUNTED.items()
    }


def summarise(manifest: pd.DataFrame, pairs: np.ndarray, refused: pd.DataFrame, idle: int) -> dict[str, Any]:
    """Count photos, breeds, splits, duplicates (exact is byte by byte), the refused by reason, and decided labels.

    ``idle`` is how many decisions are about no photo that is there.
    """
    used = manifest["split"].to_numpy() != DROPPED
    pairs = pairs[used[pairs].all(axis=1)]
    digests = manifest["sha256"].to_numpy()
    exact = int((digests[pairs[:, 0]] == digests[pairs[:, 1]]).sum())
    return {
        "photos": int(used.sum()),
        "breeds": manifest.loc[used, "breed"].nunique(),
        **{split: int((manifest["split"] == split).sum()) for split in SPLITS},
        "exact_duplicate_pairs": exact,
        "near_duplicate_pairs": len(pairs) - exact,
        "refused": {"total": len(refused), **by_reason(refused)},
        "label_fixes": {**count_fixes(manifest), "idle": idle},
    }


def doubtful_labels(manifest: pd.DataFrame, pairs: np.ndarray) -> list[str]:
    """Say which near duplicates stand in two breeds; they are kept, as a hash may take two dogs for one.

    Not those of which a person dropped one, or decided about both.
    """
    files, breeds, fixes = manifest["source_file"], manifest["breed"], manifest["label_fix"]
    return [
        f"{files[one]} and {files[other]}"
        for one, other in pairs
        if breeds[one] != breeds[other] and DROP not in (fixes[one], fixes[other]) and "" in (fixes[one], fixes[other])
    ]
