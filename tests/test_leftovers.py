"""What belongs to a backbone that was taken off params.yaml is removed, and nothing else."""

import json
import shutil

import pytest

from stages.lib.core.leftovers import remove_leftovers
from stages.lib.core.models import list_families

OF_A_MODEL = [
    "models/{}.keras", "metrics/{}.json", "metrics/costs/training/{}.json", "plots/history/{}.csv",
    "plots/predictions/{}.csv",
]  # fmt: skip


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def write_family(root, family, models):
    """What the stages make of a family of models."""
    write(root, f"metrics/costs/predictions/{family}.json", f"data/predictions/{family}/val.csv")
    (root / f"data/predictions/{family}/models.json").write_text(json.dumps({model: {} for model in models}))
    if family != "scratch":
        write(root, f"metrics/costs/features/{family}/photos.json", f"data/activations/{family}/photos/train.npy")
        write(root, f"data/features/{family}/backbone.keras", f"data/features/{family}/plain/train.npy")
        write(root, f"metrics/leave_breeds_out/{family}.json", f"plots/leave_breeds_out/{family}.csv")
    for model in models:
        write(root, *(file.format(model) for file in OF_A_MODEL))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder in which all was made of the backbones A and A-2, and there are files of somebody's own."""
    monkeypatch.chdir(tmp_path)
    for family, models in list_families(["A", "A-2"]).items():
        write_family(tmp_path, family, models)
    write(tmp_path, "models/my.keras", "models/A_last_year.keras", "models/exported/best.onnx", "metrics/evaluate.json")
    write(tmp_path, ".checkpoints/A_finetune-0.npz", ".checkpoints/A-2_finetune-0.npz")
    write(tmp_path, "data/predictions/notes.txt", "data/predictions/mine/answers.csv", "data/features/mine/train.npy")
    return tmp_path


def test_all_of_a_backbone_that_is_gone_is_removed_and_nothing_else(project, contents):
    before = contents(project)
    assert remove_leftovers(list_families(["A-2"])) == ["A"]
    removed = before.keys() - contents(project).keys()
    models = ["A_transfer_plain", "A_transfer_augmented", "A_finetune"]
    assert removed == {
        *("data/activations/A/photos/train.npy", "data/features/A/backbone.keras", "data/features/A/plain/train.npy"),
        *("data/predictions/A/models.json", "data/predictions/A/val.csv"),
        *("metrics/leave_breeds_out/A.json", "plots/leave_breeds_out/A.csv"),
        *("metrics/costs/features/A/photos.json", "metrics/costs/predictions/A.json", ".checkpoints/A_finetune-0.npz"),
        *(file.format(model) for model in models for file in OF_A_MODEL),
    }
    assert not (project / "data/features/A").exists()
    assert {name: content for name, content in before.items() if name not in removed} == contents(project)


def test_what_never_got_as_far_as_its_answers_is_removed_too(project):
    shutil.rmtree(project / "data/predictions/A")
    assert remove_leftovers(list_families(["A-2"])) == ["A"]
    assert not (project / "models/A_transfer_plain.keras").exists()


def test_several_are_removed_at_once_and_again_there_is_nothing_to_remove(project):
    assert remove_leftovers(list_families(["B"])) == ["A", "A-2"]
    assert remove_leftovers(list_families(["B"])) == []
    assert (project / "models/my.keras").exists()
    assert (project / "models/scratch_plain.keras").exists()


def test_where_all_backbones_are_there_nothing_is_removed(project, contents):
    before = contents(project)
    assert remove_leftovers(list_families(["A", "A-2"])) == []
    assert contents(project) == before


def test_what_a_killed_stage_left_half_done_costs_no_model(project, contents):
    """Its folder is called A.partial, and lists the models of A."""
    write_family(project, "A.partial", list_families(["A"])["A"])
    before = contents(project)
    assert remove_leftovers(list_families(["A", "A-2"])) == []
    assert contents(project) == before


def test_some_files_may_be_gone_already(project):
    (project / "models/A_finetune.keras").unlink()
    (project / "metrics/costs/features/A/photos.json").unlink()
    for file in (project / "data/features/A").rglob("*.*"):
        file.unlink()
    assert remove_leftovers(list_families(["A-2"])) == ["A"]
    assert not (project / "models/A_transfer_plain.keras").exists()
