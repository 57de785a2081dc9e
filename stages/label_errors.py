"""Look for photos of train and val that may be in the wrong folder; test stays closed.

Reads   data/features/<main_backbone>/plain; data/prepared/manifest.csv: which labels were decided about already
Makes   plots/suspicious_labels.csv: the photos to look at, most suspicious first; metrics/label_errors.json: of how
        many photos, and whether every breed had enough of them to tell
Alone   python -m stages.label_errors
Fits    a logistic regression on the frozen features, out of fold; it is used for nothing else
"""

import numpy as np
import pandas as pd

from stages.lib.core import paths
from stages.lib.core.encoding import encode
from stages.lib.core.errors import run
from stages.lib.core.outputs import write_json
from stages.lib.core.params import load_params
from stages.lib.core.tables import write_csv
from stages.lib.datasets.features import read_photos
from stages.lib.probes.label_errors import COLUMNS, FOLDS, can_be_judged, find_suspicious, out_of_fold_probabilities


def main() -> None:
    """Run the stage."""
    params = load_params()
    read = {split: read_photos(params.main_backbone, "plain", split) for split in ("train", "val")}
    tables = [
        pd.DataFrame({"photo": found.photos, "split": split, "labelled": found.breeds}) for split, found in read.items()
    ]
    photos = pd.concat(tables, ignore_index=True)
    features = np.concatenate([found.features for found in read.values()])
    groups = np.concatenate([found.groups for found in read.values()])
    breeds = sorted(photos["labelled"].unique())
    labels = encode(photos["labelled"], breeds)

    manifest = pd.read_csv(paths.PREPARED / "manifest.csv", dtype=str, keep_default_na=False)
    decided = photos["photo"].isin(manifest.loc[manifest["label_fix"] != "", "file"]).to_numpy()
    suspicious = pd.DataFrame(columns=COLUMNS)
    judged = bool(can_be_judged(labels, groups))
    if judged:
        probabilities = out_of_fold_probabilities(features, labels, groups, params.seed)
        suspicious = find_suspicious(photos, probabilities, breeds, decided)
    write_csv(suspicious, paths.PLOTS / "suspicious_labels.csv")
    found = {"judged": judged, "folds": FOLDS, "photos": len(photos), "suspicious": len(suspicious)}
    found["decided"] = int(decided.sum())
    write_json(paths.METRICS / "label_errors.json", found)
    print(f"label_errors: {len(suspicious)} of {len(photos)} photos of train and val look wrong")


if __name__ == "__main__":
    run(main)
