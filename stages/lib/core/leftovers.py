"""What is left of models whose backbone was taken off params.yaml."""

import shutil
from collections.abc import Iterable

from stages.lib.core import paths
from stages.lib.core.models import VARIANTS, list_families, transfer_model


def remove_leftovers(families: Iterable[str]) -> list[str]:
    """Remove the files of each backbone on which a model was trained and that is none of ``families``; return names.

    DVC keeps in its cache what stages made; it would leave the files themselves in folders that other stages read. What
    tells of a backbone are the seconds that a training took: Git has them, so that they are in each checkout.
    """
    ends = [f"{transfer_model('', variant)}.json" for variant in VARIANTS]
    trained = {file.name.removesuffix(end) for end in ends for file in paths.TRAINING_COSTS.glob(f"*{end}")}
    gone = sorted(trained - {*families})
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
        for folder in (paths.PREDICTION_COSTS, paths.LEFT_OUT):
            (folder / f"{name}.json").unlink(missing_ok=True)
        (paths.LEFT_OUT_TABLES / f"{name}.csv").unlink(missing_ok=True)
        for folder in (paths.FEATURES, paths.ACTIVATIONS, paths.PREDICTIONS, paths.FEATURE_COSTS):
            shutil.rmtree(folder / name, ignore_errors=True)
    return gone
