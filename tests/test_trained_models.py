"""Which model a file is, and what is known of it."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from small_classifiers import KNOWN, small_classifier

from stages.lib.core.classifier import Classifier
from stages.lib.core.errors import UserError
from stages.lib.exporting.about import About
from stages.lib.exporting.exported import Exported
from stages.lib.networks.classifiers import scratch_network
from stages.lib.networks.model_files import save_classifier
from stages.lib.serving import trained_models
from stages.lib.serving.trained_models import Familiarity, Threshold, Trained, find_model, find_name, load_model

BREEDS = ["Cairn", "Dingo"]
THRESHOLD, FAMILIARITY_THRESHOLD = 0.6, 0.35
TURNED_AWAY = 0.05
NAME = "VGG16_finetune"
SHA256 = "0123"
SCORES = {"threshold": THRESHOLD, "familiarity_threshold": FAMILIARITY_THRESHOLD}
EVALUATION = {NAME: SCORES, "best": NAME, "best_sha256": SHA256, "views": 2}
MODELS = ("scratch_plain", NAME)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository with an empty file in DVC's cache."""
    monkeypatch.chdir(tmp_path)
    Path("models/exported").mkdir(parents=True)
    Path("cache").mkdir()
    Path("cache/0123").touch()
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_a_model_is_asked_for_by_its_name_or_its_file_and_is_the_best_one_otherwise():
    Path("it.keras").touch()
    asked = {None: f"models/{NAME}.keras", "scratch_plain": "models/scratch_plain.keras", "it.keras": "it.keras"}
    assert {model: find_model(model, EVALUATION, MODELS).as_posix() for model in asked} == asked


@pytest.mark.usefixtures("folder")
def test_a_model_whose_backbone_was_taken_off_params_yaml_is_refused_by_name_and_the_others_are_told():
    with pytest.raises(UserError) as raised:
        find_model(NAME, EVALUATION, ("scratch_plain", "scratch_augmented"))
    assert str(raised.value) == (
        f"--model must be scratch_plain, scratch_augmented or a .keras, .onnx or .tflite file. Received: {NAME}"
    )


@pytest.mark.parametrize("place", [f"models/{NAME}.keras", "models/exported/best.onnx", "models/exported/best.tflite"])
def test_a_model_that_is_a_link_into_dvcs_cache_keeps_its_name(folder, place):
    """As `dvc config cache.type symlink` has it."""
    Path(place).symlink_to(folder / "cache/0123")
    assert find_name(Path(place), EVALUATION) == NAME
    assert find_name(folder / "models" / ".." / place, EVALUATION) == NAME


@pytest.mark.usefixtures("folder")
def test_a_folder_of_models_that_is_a_link_keeps_their_names():
    """As where there was no room for it beside the code."""
    Path("models").rename("elsewhere")
    Path("models").symlink_to("elsewhere")
    for place in (f"models/{NAME}.keras", f"elsewhere/{NAME}.keras", "models/exported/best.onnx"):
        assert find_name(Path(place), EVALUATION) == NAME


@pytest.mark.parametrize(("sha256", "name"), [(hashlib.sha256(b"").hexdigest(), NAME), ("of another", None)])
@pytest.mark.usefixtures("folder")
def test_a_model_that_was_trained_anew_is_not_the_one_that_was_evaluated(sha256, name):
    path, evaluation = Path(f"models/{NAME}.keras"), {**EVALUATION, NAME: SCORES | {"sha256": sha256}}
    assert find_name(path, evaluation) == NAME, "it need not be there, where its exported file is"
    path.touch()
    assert find_name(path, evaluation) == name


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "place", [f"{NAME}.keras", f"cache/{NAME}.keras", "models/other.keras", "models/views.keras", "models/best.onnx"]
)
def test_a_file_from_elsewhere_has_no_name(place):
    assert find_name(Path(place), EVALUATION) is None


@pytest.fixture
def export(monkeypatch):
    """Have an exported file read as one of the best model, but for the given entries."""
    about = About(
        model=NAME,
        keras_sha256=SHA256,
        licence="",
        description="",
        breeds=BREEDS,
        resize="crop",
        prepared_size=64,
        threshold=THRESHOLD,
        familiarity_threshold=FAMILIARITY_THRESHOLD,
        known_familiarity=KNOWN,
        views=2,
    )

    def have(**changes: object) -> Classifier:
        exported = Exported(Classifier(None, BREEDS, "crop", 64, KNOWN), about.model_copy(update=changes))
        monkeypatch.setattr(trained_models, "load_exported", lambda _: exported)
        return exported.classifier

    return have


def test_an_exported_file_is_the_best_model_only_where_export_wrote_it(export):
    classifier = export()
    assert load_model(Path("models/exported/best.onnx"), EVALUATION, TURNED_AWAY).name == NAME
    familiarity = Familiarity(KNOWN, FAMILIARITY_THRESHOLD)
    expected = Trained(classifier, None, familiarity, Threshold(THRESHOLD), None)
    assert load_model(Path("best.onnx"), EVALUATION, TURNED_AWAY) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"keras_sha256": "4567"},
        {"threshold": 0.5},
        {"threshold": None},
        {"familiarity_threshold": 0.36},
        {"familiarity_threshold": None},
        {"views": 1},
    ],
)
def test_an_exported_file_of_another_evaluation_is_unknown(export, changes):
    export(**changes)
    found = load_model(Path("models/exported/best.onnx"), EVALUATION, TURNED_AWAY)
    assert (found.name, found.threshold) == (None, Threshold(changes.get("threshold", THRESHOLD)))
    assert found.familiarity == Familiarity(KNOWN, changes.get("familiarity_threshold", FAMILIARITY_THRESHOLD))


# From which familiarity on a photo is known


@pytest.mark.parametrize(
    ("evaluation", "turned_away", "expected"),
    [
        (EVALUATION, 0.9, FAMILIARITY_THRESHOLD),  # that evaluate wrote, whatever is asked for now
        ({NAME: SCORES | {"familiarity_threshold": None}}, 0.9, None),
        ({}, 0.05, KNOWN[1]),  # 2 of 39 + 1
        ({}, 0.5, KNOWN[19]),
        ({}, 0.02, None),  # for which there would have to be 49
    ],
    ids=["evaluated", "evaluated, too few", "from elsewhere", "from elsewhere, half", "from elsewhere, too few"],
)
@pytest.mark.usefixtures("folder")
def test_a_keras_models_threshold_of_familiarity_is_evaluates_or_found_among_its_own_known_photos(
    evaluation, turned_away, expected
):
    save_classifier(small_classifier(scratch_network(32, 2, 0.1), BREEDS), Path(f"models/{NAME}.keras"))
    found = load_model(Path(f"models/{NAME}.keras"), evaluation, turned_away)
    assert found.familiarity == Familiarity(KNOWN, expected)


def test_a_photo_is_unknown_exactly_where_its_share_of_known_photos_is_small_enough():
    familiarity = Familiarity(KNOWN, KNOWN[1])
    asked = np.array([-1, KNOWN[0], KNOWN[1] - 1e-4, KNOWN[1], 1], np.float32)
    assert familiarity.p_values(asked).tolist() == [1 / 40, 2 / 40, 2 / 40, 3 / 40, 1]
    assert familiarity.is_unknown(asked).tolist() == [True, True, True, False, False]
    assert not Familiarity(KNOWN, None).is_unknown(asked).any()
