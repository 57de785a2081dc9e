"""Which model a file is, and what is known of it."""

from pathlib import Path

import pytest

from stages.lib.core.classifier import Classifier
from stages.lib.exporting.about import About, hash_file
from stages.lib.exporting.exported import Exported
from stages.lib.serving import trained_models
from stages.lib.serving.trained_models import Threshold, Trained, find_name, load_model

BREEDS = ["Cairn", "Dingo"]
THRESHOLD = 0.6
EVALUATION = {"finetune": {"threshold": THRESHOLD}, "best": "finetune", "views": 2}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository with an empty file in DVC's cache."""
    monkeypatch.chdir(tmp_path)
    Path("models/exported").mkdir(parents=True)
    Path("cache").mkdir()
    Path("cache/0123").touch()
    return tmp_path


@pytest.mark.parametrize("place", ["models/finetune.keras", "models/exported/best.onnx", "models/exported/best.tflite"])
def test_a_model_that_is_a_link_into_dvcs_cache_keeps_its_name(folder, place):
    """As `dvc config cache.type symlink` has it."""
    Path(place).symlink_to(folder / "cache/0123")
    assert find_name(Path(place), EVALUATION) == "finetune"
    assert find_name(folder / "models" / ".." / place, EVALUATION) == "finetune"


@pytest.mark.usefixtures("folder")
def test_a_folder_of_models_that_is_a_link_keeps_their_names():
    """As where there was no room for it beside the code."""
    Path("models").rename("elsewhere")
    Path("models").symlink_to("elsewhere")
    for place in ("models/finetune.keras", "elsewhere/finetune.keras", "models/exported/best.onnx"):
        assert find_name(Path(place), EVALUATION) == "finetune"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("place", ["finetune.keras", "cache/finetune.keras", "models/other.keras", "models/best.onnx"])
def test_a_file_from_elsewhere_has_no_name(place):
    assert find_name(Path(place), EVALUATION) is None


@pytest.fixture
def export(folder, monkeypatch):
    """Have an exported file read as one that was made of models/finetune.keras, but for the given entries."""
    (folder / "models/finetune.keras").write_bytes(b"the network")
    about = About(
        model="finetune",
        keras_sha256=hash_file(folder / "models/finetune.keras"),
        description="",
        breeds=BREEDS,
        resize="crop",
        threshold=THRESHOLD,
        views=2,
    )

    def have(**changes: object) -> Classifier:
        exported = Exported(Classifier(None, BREEDS, "crop"), about.model_copy(update=changes))
        monkeypatch.setattr(trained_models, "load_exported", lambda _: exported)
        return exported.classifier

    return have


def test_an_exported_file_is_the_best_model_only_where_export_wrote_it(export):
    classifier = export()
    assert load_model(Path("models/exported/best.onnx"), EVALUATION).name == "finetune"
    assert load_model(Path("best.onnx"), EVALUATION) == Trained(classifier, None, Threshold(THRESHOLD), None)


@pytest.mark.parametrize(
    "changes", [{"model": "transfer_plain"}, {"threshold": 0.5}, {"threshold": None}, {"views": 1}]
)
def test_an_exported_file_of_another_evaluation_is_unknown(export, changes):
    export(**changes)
    found = load_model(Path("models/exported/best.onnx"), EVALUATION)
    assert (found.name, found.threshold) == (None, Threshold(changes.get("threshold", THRESHOLD)))


@pytest.mark.parametrize("threshold", [THRESHOLD, None])
def test_an_exported_file_of_a_model_that_was_trained_again_is_unknown(export, threshold):
    """The name and a threshold of None are the same before and after."""
    evaluation = EVALUATION | {"finetune": {"threshold": threshold}}
    export(threshold=threshold)
    assert load_model(Path("models/exported/best.onnx"), evaluation).name == "finetune"
    Path("models/finetune.keras").write_bytes(b"another network")
    assert load_model(Path("models/exported/best.onnx"), evaluation).name is None


def test_an_exported_file_whose_keras_file_was_not_fetched_is_known(export):
    export()
    Path("models/finetune.keras").unlink()
    assert load_model(Path("models/exported/best.onnx"), EVALUATION).name == "finetune"
