"""Which trained model to ask, and from which confidence on it is sure."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from stages.lib import paths
from stages.lib.errors import UserError
from stages.lib.exported import READERS, load_exported
from stages.lib.model_files import Classifier, load_classifier
from stages.lib.models import MODELS
from stages.lib.view_averaging import average_views

FILES = ".keras, .onnx or .tflite"


class Threshold(NamedTuple):
    """From which confidence on a model is sure."""

    confidence: float | None  # None: never

    def in_words(self) -> str:
        """The remark below a photo that it is not sure of."""
        if self.confidence is None:
            return "not sure: this model never is, it did not reach evaluate.target_accuracy on val"
        return f"not sure: it would be from {self.confidence:.1%} on"


def read_evaluation() -> dict[str, Any]:
    """What evaluate wrote; nothing where it has not run."""
    path = paths.METRICS / "evaluate.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(
            f"{path} is not as evaluate wrote it ({error}): `git checkout {path}` brings it back."
        ) from None


def find_model(model: str | None, evaluation: dict[str, Any]) -> Path:
    """The file of the model that is asked for by name or path, or of the best one."""
    if model is None:
        if "best" not in evaluation:
            raise UserError("There is no metrics/evaluate.json to tell the best model: run `dvc repro` first.")
        model = evaluation["best"]
    path = paths.MODELS / f"{model}.keras" if model in MODELS else Path(model)
    if model not in MODELS and not path.exists():
        raise UserError(f"--model must be {', '.join(MODELS)} or a {FILES} file. Received: {model}")
    return path


def is_ours(path: Path) -> bool:
    """Whether ``path`` is one of the five models, where the pipeline put it."""
    return path.stem in MODELS and path.resolve() == (paths.MODELS / path.name).resolve()


def find_threshold(path: Path, evaluation: dict[str, Any]) -> Threshold | None:
    """The threshold of one of the five models; None where it is another one, or none was looked for."""
    scores = evaluation.get(path.stem, {})
    return Threshold(scores["threshold"]) if is_ours(path) and "threshold" in scores else None


def load_model(path: Path, evaluation: dict[str, Any]) -> tuple[Classifier, Threshold | None]:
    """Read a model of any format, and its threshold; one of the five asks as many views of a photo as evaluate did."""
    if path.suffix in READERS:
        exported = load_exported(path)
        return exported.classifier, Threshold(exported.about.threshold)
    classifier = load_classifier(path)
    if is_ours(path):
        averaged = average_views(classifier.network, evaluation.get("views", 1))
        classifier = classifier._replace(network=averaged)
    return classifier, find_threshold(path, evaluation)
