"""The pipeline as it is shipped, on real photographs: only where DOG_PHOTOGRAPHS names a folder of them.

The folder holds the 936 photographs of Cairn, Chihuahua, Dingo, Pyrenees and Samoyed in Stanford Dogs, one sub-folder a
breed, with a stray README.md beside them. PHOTOGRAPHS_OF_THINGS may name a folder of photographs of anything but dogs.
One run of the pipeline serves all tests.
"""

import json
import os
import re
from pathlib import Path

import pandas as pd
import pytest
from pipeline_fixtures import ROOT, Repository

from stages.lib.core.params import load_params

PHOTOGRAPHS, THINGS = os.environ.get("DOG_PHOTOGRAPHS"), os.environ.get("PHOTOGRAPHS_OF_THINGS")
LEAST = {  # accuracy on test, a little less than docs/results.md has
    "VGG16_transfer_augmented": 0.92,
    "VGG16_finetune": 0.91,
    "EfficientNetLite2_transfer_augmented": 0.975,
    "EfficientNetLite2_finetune": 0.97,
}
GIB = 2**30
# of all processes that `dvc repro` waits for; asked in a process of its own, as each child of pytest would count
REPRO = """
import resource, subprocess, sys
code = subprocess.run([sys.executable, "-m", "dvc", "repro"]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * (1 if sys.platform == "darwin" else 1024))
sys.exit(code)
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PHOTOGRAPHS, reason="DOG_PHOTOGRAPHS names no folder of real photographs"),
]


@pytest.fixture(scope="module")
def answered(tmp_path_factory) -> tuple[Repository, list]:
    """The repository after one model was trained, and nothing else, and what that says of ten Samoyeds."""
    repository = Repository(tmp_path_factory.mktemp("real"))
    params = (ROOT / "params.yaml").read_text()
    for key, folder in {"source": PHOTOGRAPHS, "unknown": THINGS}.items():
        if folder:
            params, changed = re.subn(rf"(?m)^  {key}: \S+", f"  {key}: {Path(folder).resolve()}", params)
            assert changed == 1
    (repository.root / "params.yaml").write_text(params)
    repository.dvc("repro", "transfer@EfficientNetLite2-plain")
    assert [file.stem for file in repository.root.glob("models/*.keras")] == ["EfficientNetLite2_transfer_plain"]
    photos = sorted(str(photo) for photo in Path(PHOTOGRAPHS, "Samoyed").resolve().glob("*.jpg"))[:10]
    asked = ("-m", "stages.predict", *photos, "--model", "EfficientNetLite2_transfer_plain", "--json")
    return repository, json.loads(repository.python(*asked).stdout)


@pytest.fixture(scope="module")
def run(answered) -> tuple[Repository, int]:
    """The repository after `dvc repro`, and how many bytes of memory the largest process took."""
    repository, _ = answered
    said = repository.python("-c", REPRO).stdout
    return repository, int(said.splitlines()[-1])


@pytest.fixture(scope="module")
def reproduced(run) -> Repository:
    return run[0]


def test_one_classifier_alone_can_be_asked_before_anything_is_compared(answered):
    answers = answered[1]
    assert len(answers) == 10
    assert sum(answer["breeds"][0]["breed"] == "Samoyed" for answer in answers) >= 9
    assert {answer["sure"] for answer in answers} == {None}, "the drawn pictures' evaluation says nothing of this model"


def test_each_of_the_936_photographs_is_used_and_only_folders_are_breeds(reproduced):
    manifest = pd.read_csv(reproduced.root / "data/prepared/manifest.csv")
    counts = manifest["breed"].value_counts().to_dict()
    assert counts == {"Cairn": 197, "Chihuahua": 152, "Dingo": 156, "Pyrenees": 213, "Samoyed": 218}
    assert reproduced.json("metrics/prepare.json")["refused"] == {"total": 0}


def test_photographs_that_are_nearly_the_same_are_on_one_side(reproduced):
    manifest = pd.read_csv(reproduced.root / "data/prepared/manifest.csv").set_index("file")
    for first, second in (
        ("Dingo/n02115641_13565.jpg", "Dingo/n02115641_6577.jpg"),
        ("Pyrenees/n02111500_2863.jpg", "Pyrenees/n02111500_3548.jpg"),
        ("Chihuahua/n02085620_2973.jpg", "Chihuahua/n02085620_4441.jpg"),
    ):
        assert manifest.loc[first, "group"] == manifest.loc[second, "group"]
        assert manifest.loc[first, "split"] == manifest.loc[second, "split"]


def test_pretrained_models_are_as_good_as_the_readme_says(reproduced):
    scores = reproduced.json("metrics/evaluate.json")
    found = {model: scores[model]["accuracy"] for model in LEAST}
    assert {model: accuracy for model, accuracy in found.items() if accuracy < LEAST[model]} == {}
    assert scores["scratch_plain"]["accuracy"] < min(found.values())
    assert not scores["drawn"]


def test_as_many_test_photos_are_turned_away_as_were_asked_for(reproduced):
    for model in LEAST:
        scores = reproduced.json("metrics/evaluate.json")[model]
        assert scores["known_photos"] == 704
        assert scores["turned_away_low"] < scores["due_high"], model
        assert scores["turned_away_high"] > scores["due_low"], model


@pytest.mark.skipif(not THINGS, reason="PHOTOGRAPHS_OF_THINGS names no folder of photographs of anything but dogs")
def test_photographs_of_anything_but_dogs_are_turned_away(reproduced):
    scores = reproduced.json("metrics/evaluate.json")
    for model, least in (("EfficientNetLite2_finetune", 0.99), ("VGG16_finetune", 0.98)):  # docs/unknown.md has more
        assert scores[model]["unknown_turned_away"] >= least
        assert scores[model]["unknown_auc"] > 0.995
    assert scores["scratch_augmented"]["unknown_auc"] < 0.9, "the CNN from scratch notices little, and that is told"


def test_report_warns_of_the_overlap_with_imagenet(reproduced):
    report = (reproduced.root / "plots/report.html").read_text()
    assert "they have most likely seen the test photos" in " ".join(report.split())
    assert "drawn" not in report


def test_best_model_on_val_is_named(reproduced):
    models = load_params(reproduced.root / "params.yaml").models
    found = {model: reproduced.json(f"metrics/val/{model}.json")["accuracy"] for model in models}
    assert found[reproduced.json("metrics/evaluate.json")["best"]] == max(found.values())


def test_no_stage_takes_4_gib_of_memory(run):
    assert GIB < run[1] < 4 * GIB
