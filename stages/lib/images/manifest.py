"""data/prepared/manifest.csv: a row a photo, with its split and its group of near duplicates."""

from typing import Any

import numpy as np
import pandas as pd

from stages.lib.core.errors import UserError
from stages.lib.core.splits import SPLITS
from stages.lib.images.duplicates import group_labels
from stages.lib.images.refusals import by_reason
from stages.lib.images.splitting import assign_splits

MANIFEST_COLUMNS = ["file", "breed", "split", "group", "sha256", "width", "height"]


def make_manifest(photos: pd.DataFrame, pairs: np.ndarray, test: float, val: float, seed: int) -> pd.DataFrame:
    """Add to ``photos`` the group of near duplicates that ``pairs`` make, and the split."""
    groups = group_labels(len(photos), pairs)
    splits = assign_splits(photos["breed"].tolist(), groups, photos["sha256"].tolist(), test, val, seed)
    return photos.assign(group=groups, split=splits)[MANIFEST_COLUMNS]


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


def summarise(manifest: pd.DataFrame, pairs: np.ndarray, refused: pd.DataFrame) -> dict[str, Any]:
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
