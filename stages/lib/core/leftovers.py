"""What is left of models whose backbone was taken off params.yaml."""

import json
import shutil
from collections.abc import Iterable

from stages.lib.core import paths
from stages.lib.core.models import NAME


def remove_leftovers(families: Iterable[str]) -> list[str]:
    """Remove the files of each backbone that was asked once and is none of ``families``; return what it was called.

    DVC keeps in its cache what stages made; it would leave the files themselves in folders that other stages read.
    """
    asked = sorted(file.parent for file in paths.PREDICTIONS.glob("*/models.json") if NAME.fullmatch(file.parent.name))
    gone = [folder for folder in asked if folder.name not in families]
    for folder in gone:
        for model in json.loads((folder / "models.json").read_text(encoding="utf-8")):
            for path in (
                paths.MODELS / f"{model}.keras",
                paths.METRICS / f"{model}.json",
                paths.HISTORY / f"{model}.csv",
                paths.TRAINING_COSTS / f"{model}.json",
                paths.PREDICTION_TABLES / f"{model}.csv",
            ):
                path.unlink(missing_ok=True)
        for costs in (paths.FEATURE_COSTS, paths.PREDICTION_COSTS):
            (costs / f"{folder.name}.json").unlink(missing_ok=True)
        for data in (paths.FEATURES, paths.ACTIVATIONS, paths.PREDICTIONS):
            shutil.rmtree(data / folder.name, ignore_errors=True)
    return [folder.name for folder in gone]
