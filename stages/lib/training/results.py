"""What a training leaves behind."""

from stages.lib.core import paths
from stages.lib.core.classifier import Classifier
from stages.lib.core.outputs import whole_file, write_json
from stages.lib.networks.model_files import save_classifier
from stages.lib.training.checkpoints import remove_checkpoints
from stages.lib.training.loop import TrainingRun


def write_results(name: str, classifier: Classifier, trained: TrainingRun, policy: str) -> None:
    """Write models/<name>.keras, plots/history/<name>.csv, metrics/<name>.json and metrics/costs/training/<name>.json.

    What differs from run to run and machine to machine stands in the last one alone.
    """
    save_classifier(classifier, paths.MODELS / f"{name}.keras")
    with whole_file(paths.HISTORY / f"{name}.csv") as partial:
        trained.history.to_csv(partial, index=False, float_format="%.6g")
    metrics = {
        "steps": int(trained.history["step"].iloc[-1]),
        "best_step": int(trained.best["step"]),
        "best_val_loss": round(float(trained.best["val_loss"]), 6),
        "best_val_accuracy": round(float(trained.best["val_accuracy"]), 6),
        "parameters": classifier.network.count_params(),
    }
    write_json(paths.METRICS / f"{name}.json", metrics)
    costs = {
        "training_seconds": round(trained.seconds, 1),
        "pictures_per_second": round(trained.pictures / trained.seconds, 1),
        "precision": policy,
    }
    write_json(paths.TRAINING_COSTS / f"{name}.json", costs)
    remove_checkpoints(name)
    best = f"val accuracy {metrics['best_val_accuracy']:.3f} at step {metrics['best_step']} of {metrics['steps']}"
    print(f"{name}: {best}, in {policy}")
