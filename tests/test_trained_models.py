"""Which model a file is, and what is known of it."""

from pathlib import Path

import pytest

from stages.lib.trained_models import find_name

EVALUATION = {"best": "finetune"}


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
