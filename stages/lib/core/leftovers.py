"""What is left of models whose backbone was taken off params.yaml."""

import shutil
from collections.abc import Iterable

from stages.lib.core import paths
from stages.lib.core.models import NAME, list_families


def remove_leftovers(families: Iterable[str]) -> list[str]:
    """Remove the files of each backbone whose features were made once and that is none of ``families``; return names.

    DVC keeps in its cache what stages made; it would leave the files themselves in folders that other stages read. The
    seconds that features took are the first of them, and in Git, so that they are in each checkout.
    """
    made = sorted(file.stem for file in paths.FEATURE_COSTS.glob("*.json"))
    gone = [name for name in made if NAME.fullmatch(name) and name not in families]
    for name in gone:
        for model in list_families([name])[name]:
            for path in (
                paths.MODELS / f"{model}.keras",
                paths.METRICS / f"{model}.json",
                paths.HISTORY / f"{model}.csv",
                paths.TRAINING_COSTS / f"{model}.json",
                paths.PREDICTION_TABLES / f"{model}.csv",
            ):
                path.unlink(missing_ok=True)
            for checkpoint in paths.CHECKPOINTS.glob(f"{model}-*.npz"):
                checkpoint.unlink()
        for costs in (paths.FEATURE_COSTS, paths.PREDICTION_COSTS):
            (costs / f"{name}.json").unlink(missing_ok=True)
        for data in (paths.FEATURES, paths.ACTIVATIONS, paths.PREDICTIONS):
            shutil.rmtree(data / name, ignore_errors=True)
    return gone
