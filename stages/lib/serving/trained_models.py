"""Which trained model to ask, from which confidence on it is sure, and from which familiarity on a photo is known."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.lib.core import paths
from stages.lib.core.classifier import Classifier
from stages.lib.core.errors import UserError
from stages.lib.core.evaluated import find_best
from stages.lib.core.hashes import hash_file
from stages.lib.exporting.about import About
from stages.lib.exporting.exported import FORMATS, READERS, load_exported
from stages.lib.familiarity import conformal

NONE_OF_THESE = "none of these breeds: it is unlike the photos that the model learned from"
FILES = ".keras, .onnx or .tflite"
HELP = f"a model's name, such as scratch_plain, or a {FILES} file; the best on val if not given"  # of --model


class Threshold(NamedTuple):
    """From which confidence on a model is sure."""

    confidence: float | None  # None: never

    def in_words(self) -> str:
        """The remark below a photo that it is not sure of."""
        if self.confidence is None:
            return "not sure: this model never is, it did not reach evaluate.target_accuracy on val"
        return f"not sure: it would be from {self.confidence:.1%} on"


class Familiarity(NamedTuple):
    """What tells of a photo whether it shows any of a model's breeds."""

    known: list[float]  # the familiarity of known photos
    threshold: float | None  # below it, it is none of these breeds; None: too few photos for one, and all are known

    def p_values(self, familiarity: np.ndarray) -> np.ndarray:
        """What share of known photos is no more familiar than each photo, see `conformal.p_values`."""
        return conformal.p_values(self.known, familiarity)

    def is_unknown(self, familiarity: np.ndarray) -> np.ndarray:
        """Whether each photo shows none of the breeds, bool (n,)."""
        return conformal.is_unknown(familiarity, self.threshold)


class Trained(NamedTuple):
    """A trained model, read."""

    classifier: Classifier  # one that was evaluated averages as many views as evaluate did
    as_saved: Any  # its network without averaging, for Grad-CAM, a `keras.Model`; None where it is no Keras model
    familiarity: Familiarity
    threshold: Threshold | None  # None: unknown
    name: str | None  # of one that was evaluated; None where it is from elsewhere, so that nothing here tells of it


def find_model(model: str | None, evaluation: dict[str, Any], models: tuple[str, ...]) -> Path:
    """The file of the model that is asked for by name or path, or of the best one.

    Args:
        model: one of ``models``, or the path of a file; None: the best one.
        evaluation: what evaluate wrote, see `read_evaluation`.
        models: the names of all models, see `Params.models`.

    Returns:
        a path, which for a name need not be there; `load_model` tells.

    Raises `UserError` where ``model`` is neither one of ``models`` nor a file, or is None and evaluate has not run.
    """
    if model is None or model in models:
        return paths.MODELS / f"{model or find_best(evaluation)}.keras"
    if not Path(model).exists():
        raise UserError(f"--model must be {', '.join(models)} or a {FILES} file. Received: {model}")
    return Path(model)


def find_name(path: Path, evaluation: dict[str, Any]) -> str | None:
    """Which of the models that were evaluated a file is, in whatever format; None where it is another one.

    It is another one, too, where a model of that name was trained anew since, perhaps on other photos.
    """
    place, models = path.parent.resolve() / path.name, paths.MODELS.resolve()  # the file may be a link to DVC's cache
    if path.suffix in READERS:
        return evaluation.get("best") if place.parent == models / "exported" else None
    scores = evaluation.get(path.stem)
    if not isinstance(scores, dict) or place != models / path.name:  # another entry, such as views, is none
        return None
    evaluated = scores.get("sha256")  # which evaluations by earlier versions lack
    return path.stem if evaluated is None or not path.exists() or hash_file(path) == evaluated else None


def find_threshold(name: str | None, evaluation: dict[str, Any]) -> Threshold | None:
    """The threshold of a model that was evaluated; None where it is another one, or none was looked for."""
    scores = _scores_of(name, evaluation)
    return Threshold(scores["threshold"]) if "threshold" in scores else None


def _scores_of(name: str | None, evaluation: dict[str, Any]) -> Mapping[str, Any]:
    return {} if name is None else evaluation.get(name, {})


def find_familiarity(
    classifier: Classifier, name: str | None, evaluation: dict[str, Any], turned_away: float
) -> Familiarity:
    """What tells of a photo whether it shows any of the breeds of a Keras model.

    The threshold is evaluate's; that of a model from elsewhere turns away the share ``turned_away`` of known photos.
    """
    known, scores = classifier.known_familiarity, _scores_of(name, evaluation)
    if "familiarity_threshold" in scores:
        return Familiarity(known, scores["familiarity_threshold"])
    return Familiarity(known, conformal.find_threshold(known, turned_away))


def is_up_to_date(about: About, name: str, evaluation: dict[str, Any]) -> bool:
    """Whether an exported file is of the model ``name`` as evaluate saw it best, and not of one that was best before.

    What evaluate says of the model is then true of the file.
    """
    return (about.keras_sha256, Threshold(about.threshold), about.familiarity_threshold, about.views) == (
        evaluation.get("best_sha256"),
        find_threshold(name, evaluation),
        _scores_of(name, evaluation).get("familiarity_threshold"),
        evaluation.get("views", 1),
    )


def load_model(path: Path, evaluation: dict[str, Any], turned_away: float) -> Trained:
    """Read a model of any format, with its thresholds; ``turned_away`` is for those that have none, see above.

    Raises `UserError` where ``path`` is not there, or no model of this pipeline, or not whole.
    """
    name = find_name(path, evaluation)
    if path.suffix in READERS:
        classifier, about = load_exported(path)
        known = name is not None and is_up_to_date(about, name, evaluation)
        familiarity = Familiarity(about.known_familiarity, about.familiarity_threshold)
        return Trained(classifier, None, familiarity, Threshold(about.threshold), name if known else None)
    # here, as they load TensorFlow, which takes seconds
    from stages.lib.networks.graphs import average_views
    from stages.lib.networks.model_files import load_classifier

    classifier = load_classifier(path)
    views = 1 if name is None else evaluation.get("views", 1)
    averaged = classifier._replace(network=average_views(classifier.network, views))
    familiarity = find_familiarity(classifier, name, evaluation, turned_away)
    return Trained(averaged, classifier.network, familiarity, find_threshold(name, evaluation), name)


def find_export(path: Path, evaluation: dict[str, Any], turned_away: float) -> Trained | None:
    """The exported file that answers as the Keras model ``path`` does, without TensorFlow; None where there is none.

    Its hash tells that it was made from that very file, and it has evaluate's thresholds and views.
    """
    if path.suffix in READERS or find_name(path, evaluation) != evaluation.get("best", ""):
        return None
    try:
        exported = load_model(paths.EXPORTED / FORMATS["onnx"].file, evaluation, turned_away)
    except UserError:  # it is not there, or damaged, or of an earlier version
        return None
    return exported if exported.name is not None else None
