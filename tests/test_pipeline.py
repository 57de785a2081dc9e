"""The pipeline as a person runs it, with tiny settings: `dvc repro`, one change at a time, and what comes of it."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image, ImageOps
from pipeline_fixtures import Repository, Stage, all_keys, is_meant, is_within, read_params, read_stages, stages_run
from sklearn.metrics import confusion_matrix
from tiny_pipeline import (
    BACKBONE,
    BREEDS,
    FINETUNE,
    MODELS,
    STAGES,
    TRANSFER,
    UNKNOWN,
    WEIGHTS,
    draw_photos,
    list_models,
    new_repository,
    save_params,
    tiny_params,
    vgg16,
)

from stages import evaluate, predict, report
from stages.lib.backbones.build import build_backbone, write_weights
from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.core.errors import run
from stages.lib.core.hashes import hash_file
from stages.lib.datasets.pictures import find_pictures, read_picture
from stages.lib.familiarity import conformal
from stages.lib.images.photos import read_photo, to_square
from stages.lib.networks.model_files import load_classifier

CHECKPOINTS = ".checkpoints"  # where a training stands: no output, as DVC removes those before it runs a stage
DVCS = {"params.yaml", "dvc.yaml", "dvc.lock", ".dvc", ".dvcignore", ".git", ".gitignore"}  # a checkpoint asks DVC
HEADLINES = ["accuracy", "accuracy_low", "accuracy_high", "log_loss", "ece"]
SCORES = [
    *("accuracy", "accuracy_low", "accuracy_high", "macro_f1", "macro_f1_low", "macro_f1_high"),
    *("log_loss", "brier", "ece", "temperature", "threshold", "val_coverage", "coverage", "selective_accuracy"),
    *("scaled_log_loss", "scaled_brier", "scaled_ece", "parameters", "megabytes", "sha256"),
    *("familiarity_threshold", "known_photos", "due_low", "due_high"),
    *("turned_away", "turned_away_low", "turned_away_high", "unknown_photos"),
    *("unknown_turned_away", "unknown_turned_away_low", "unknown_turned_away_high"),
    *("unknown_auc", "unknown_auc_low", "unknown_auc_high"),
]
TABLES = (  # with all models
    *("classification_report", "confusion", "familiarity", "learning_curves", "reliability", "risk_coverage"),
)
OF_THE_BEST = {  # and what of metrics/evaluate.json each of them waits for
    "explain": ["best", "best_sha256", "views"],
    "convert": ["best", "best_sha256", "views"],
}
COMPARING = {"evaluate", "report", "export"}
AFTER_FINETUNE = {f"finetune@{BACKBONE}", f"predictions@{BACKBONE}", *COMPARING}
LEFT_OUT = f"leave_breeds_out@{BACKBONE}"
FINETUNED = (f"metrics/{FINETUNE}.json", f"plots/history/{FINETUNE}.csv")  # alike only where the trainings were
SECOND = "VGG16-larger"
OF_SECOND = {
    f"{stage}@{SECOND}" for stage in ("features", "view_features", "finetune", "leave_breeds_out", "predictions")
}
OF_SECOND |= {f"transfer@{SECOND}-{variant}" for variant in ("plain", "augmented")}
UNKNOWN_MODEL = f"error: --model must be {', '.join(MODELS)} or a .keras, .onnx or .tflite file. Received: {{}}\n"
TRAINING = ["steps", "best_step", "best_val_loss", "best_val_accuracy", "parameters"]


@pytest.fixture(scope="module")
def repository(first_run):
    return first_run[0]


@pytest.fixture(scope="module")
def stages(repository):
    """The stages that the first run ran, as they are declared, by name."""
    declared = read_stages(repository.root)
    return {name: declared[name] for name in (stage.removeprefix("data/dvc.yaml:") for stage in STAGES)}


@pytest.fixture
def workers(repository):
    """Two workers for experiments in a queue, when called; they wait for more, so they are ended afterwards."""
    yield lambda: repository.start_workers("queue", "start", "--jobs", "2")
    repository.stop_workers()


@pytest.fixture
def changed(repository):
    """The repository to change something in; it is put back afterwards."""
    yield repository
    repository.restore()


@pytest.fixture
def reproduce(changed):
    """Run a command of DVC's in the workspace, which is put back afterwards, and give the stages that ran.

    explain and convert are left out: they run where the best model is another one than before, and nowhere else, but
    for explain where evaluate turns away another share. Which of models as small as these is best is luck.
    """

    def chosen() -> dict[str, list[object]]:
        evaluation = changed.json("metrics/evaluate.json")
        return {stage: [evaluation[key] for key in keys] for stage, keys in OF_THE_BEST.items()}

    def run_command(*command: str) -> set[str]:
        before = chosen()
        ran = stages_run(changed.dvc(*command).stdout)
        now = chosen()
        assert ran & set(OF_THE_BEST) == {stage for stage in OF_THE_BEST if now[stage] != before[stage]}
        return ran - set(OF_THE_BEST)

    return run_command


@pytest.fixture
def experiment(reproduce):
    """`dvc exp run` with changed parameters."""

    def run_experiment(*targets: str, **changes: object) -> set[str]:
        changed = [argument for key, value in changes.items() for argument in ("-S", f"{key}={value}")]
        return reproduce("exp", "run", *changed, *targets)

    return run_experiment


def read_predictions(repository: Repository, model: str, **options: object) -> pd.DataFrame:
    return pd.read_csv(repository.root / f"plots/predictions/{model}.csv", **options)


def read_pictures(repository: Repository, split: str, side: int) -> np.ndarray:
    files, _ = find_pictures(repository.root / "data/prepared" / split)
    return np.stack([read_picture(file, side) for file in files])


def read_page(repository: Repository) -> str:
    """The report, without the places in its names where a line may end."""
    return (repository.root / "plots/report.html").read_text().replace("<wbr>", "")


def list_outputs(repository: Repository) -> set[str]:
    """All files that stages made."""
    places = [repository.root / place for place in ("data", "metrics", "models", "plots")]
    return {
        path.relative_to(repository.root).as_posix() for place in places for path in place.rglob("*") if path.is_file()
    }


# What one run makes


def test_the_first_run_runs_every_stage_and_of_the_sources_the_one_that_is_asked_for(first_run):
    _, printed, _ = first_run
    assert stages_run(printed) == set(STAGES)


def test_the_first_run_makes_every_declared_output(repository, stages):
    outs = [out for stage in stages.values() for out in stage.outs]
    assert [out for out in outs if not (repository.root / out).exists()] == []


def test_the_first_run_leaves_nothing_unfinished_behind(repository):
    assert list(repository.root.rglob("*.partial*")) == []


def test_the_scores_have_exactly_the_expected_keys(repository):
    scores = repository.json("metrics/evaluate.json")
    assert list(scores) == [*MODELS, "best", "best_sha256", "views", "test_photos", "drawn", "caveats"]
    assert {scores[model]["unknown_photos"] for model in MODELS} == {UNKNOWN}
    assert all(list(scores[model]) == SCORES for model in MODELS)
    assert scores["best_sha256"] == hash_file(repository.root / f"models/{scores['best']}.keras")
    assert scores["test_photos"] == 12
    assert scores["drawn"] is False


@pytest.mark.parametrize("model", MODELS)
def test_the_metrics_of_a_training_have_exactly_the_expected_keys(repository, model):
    assert list(repository.json(f"metrics/{model}.json")) == TRAINING
    assert list(repository.json(f"metrics/costs/training/{model}.json")) == [
        "training_seconds",
        "pictures_per_second",
        "precision",
    ]


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize("model", MODELS)
def test_the_headlines_for_dvc_are_those_of_the_split(repository, model, split):
    headlines = repository.json(f"metrics/{split}/{model}.json")
    assert list(headlines) == HEADLINES
    scores = repository.json("metrics/evaluate.json")[model]
    assert (headlines == {name: scores[name] for name in HEADLINES}) == (split == "test")


def test_costs_have_a_row_a_model_and_are_the_only_place_for_seconds(repository):
    costs = pd.read_csv(repository.root / "metrics/costs/evaluate.csv")
    expected = ["model", "accuracy", "parameters", "megabytes", "training_seconds"]
    assert list(costs.columns) == [*expected, "milliseconds_batch_1"]
    assert costs["model"].tolist() == list(MODELS)
    scores = repository.json("metrics/evaluate.json")
    assert costs["accuracy"].tolist() == [scores[model]["accuracy"] for model in MODELS]
    trained = [repository.json(f"metrics/costs/training/{model}.json")["training_seconds"] for model in MODELS]
    assert costs["training_seconds"].tolist() == trained
    asked = {}
    for family in ("scratch", BACKBONE):
        asked |= repository.json(f"metrics/costs/predictions/{family}.json")
    assert costs["milliseconds_batch_1"].tolist() == [asked[model]["milliseconds_batch_1"] for model in MODELS]


@pytest.mark.parametrize("table", TABLES)
def test_a_table_for_charts_has_all_models_in_the_order_of_params_yaml(repository, table):
    assert pd.read_csv(repository.root / f"plots/{table}.csv")["model"].unique().tolist() == MODELS


def test_a_threshold_is_found_by_val_and_of_a_backbone_by_train_too_and_its_models_have_one_familiarity(repository):
    scores = repository.json("metrics/evaluate.json")
    split = pd.read_csv(repository.root / "data/prepared/manifest.csv")["split"].value_counts()
    for model in MODELS:
        known = split["val"] + (0 if model.startswith("scratch") else split["train"])
        assert scores[model]["known_photos"] == known
        assert (scores[model]["familiarity_threshold"] is None) == (known < 19)
    table = pd.read_csv(repository.root / "plots/familiarity.csv").set_index(["split", "photo"])
    by_model = {model: rows["familiarity"] for model, rows in table.groupby("model")}
    of_backbone = [by_model[model] for model in MODELS if not model.startswith("scratch")]
    assert {values.size for values in by_model.values()} == {scores["test_photos"] + UNKNOWN}
    assert all(values.equals(of_backbone[0]) for values in of_backbone)
    assert not by_model["scratch_plain"].equals(by_model["scratch_augmented"])


def test_what_is_refused_of_unknown_photos_is_told_and_the_others_are_found_in_any_folder(repository):
    folder = repository.root / "data/prepared_unknown"
    assert (folder / "refused.csv").read_text() == "file,reason,detail\nnotes.txt,not a picture,\n"
    folder /= "photos"
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")}
    assert found == {"cats/stripes_0.png.png", *(f"stripes_{number}.png.png" for number in range(1, UNKNOWN))}
    rows = pd.read_csv(repository.root / "plots/familiarity.csv").query("split == 'unknown' and model == @FINETUNE")
    assert {f"{photo}.png" for photo in rows["photo"]} == found


def test_each_breed_is_left_out_once(repository):
    table = pd.read_csv(repository.root / f"plots/leave_breeds_out/{BACKBONE}.csv")
    assert table["breed"].tolist() == BREEDS
    assert set(table["model"]) == {BACKBONE}
    assert repository.json(f"metrics/leave_breeds_out/{BACKBONE}.json")["breeds"] == len(BREEDS)


def test_evaluating_and_drawing_again_makes_the_same_bytes(repository, stages, contents, run_stage):
    places = [*stages["evaluate"].outs, *stages["report"].outs]

    def read() -> dict[str, bytes]:
        found = contents(repository.root)
        return {name: found[name] for name in sorted(found) if is_within(name, places)}

    before = read()
    assert [run_stage(stage.main, repository.root) for stage in (evaluate, report)] == [0, 0]
    after = read()
    assert {"plots/report.html", "plots/accuracy.png", f"plots/predictions/{FINETUNE}.csv"} <= set(before)
    assert [name for name in before if before[name] != after[name]] == []


@pytest.mark.parametrize("model", MODELS)
def test_every_test_photo_of_the_manifest_has_a_row_of_predictions_and_no_other(repository, model):
    manifest = pd.read_csv(repository.root / "data/prepared/manifest.csv")
    tested = manifest[manifest["split"] == "test"].sort_values("file")
    predictions = read_predictions(repository, model)
    assert list(predictions.columns) == ["photo", "actual", "predicted", "confidence", *BREEDS]
    assert predictions["photo"].tolist() == tested["file"].tolist()
    assert predictions["actual"].tolist() == tested["breed"].tolist()


# What Git and DVC see of it


def test_a_second_run_has_nothing_to_do(repository):
    second = repository.dvc("repro").stdout
    assert stages_run(second) == set()
    assert "Data and pipelines are up to date." in second


@pytest.mark.parametrize("what", [["dvc.yaml"], ["--with-deps", "export"]], ids=["pipeline", "with its sources"])
def test_dvc_says_that_all_is_up_to_date(repository, what):
    assert repository.dvc("status", *what).stdout.strip() == "Data and pipelines are up to date."


def test_git_keeps_small_outputs_and_sees_nothing_of_the_bulk(repository, stages):
    tracked = repository.git("ls-files").splitlines()
    in_data = {file for file in tracked if is_within(file, ["data", "models"])}
    assert {Path(file).name for file in in_data} <= {".gitignore", "dvc.yaml", "dvc.lock", "label_fixes.csv"}
    small = [out for stage in stages.values() for out in stage.outs if is_within(out, ["metrics", "plots"])]
    assert [out for out in small if not any(is_within(file, [out]) for file in tracked)] == []
    assert repository.git("status", "--porcelain") == ""


# One number, wherever it stands


def read_rows(repository: Repository, table: str, model: str) -> pd.DataFrame:
    rows = pd.read_csv(repository.root / f"plots/{table}.csv")
    return rows[rows["model"] == model]


def weighted_accuracy(reliability: pd.DataFrame) -> float:
    points = reliability[reliability["scaling"] == "without temperature"]
    return np.average(points["accuracy"], weights=points["photos"])


@pytest.mark.parametrize("model", MODELS)
def test_metrics_predictions_confusion_matrix_and_report_have_the_same_accuracy(repository, model):
    predictions = read_predictions(repository, model)
    report = pd.read_csv(repository.root / "plots/classification_report.csv").query("model == @model")
    confusion = confusion_matrix(predictions["actual"], predictions["predicted"], labels=BREEDS)
    found = {
        "metrics": repository.json("metrics/evaluate.json")[model]["accuracy"],
        "predictions": (predictions["actual"] == predictions["predicted"]).mean(),
        "confusion matrix": np.trace(confusion) / confusion.sum(),
        "report": np.average(report["recall"], weights=report["support"]),
        "dvc metrics": repository.json(f"metrics/test/{model}.json")["accuracy"],
        "risk over coverage": 1 - read_rows(repository, "risk_coverage", model)["risk"].iloc[-1],
        "reliability": weighted_accuracy(read_rows(repository, "reliability", model)),
    }
    page = read_page(repository)
    row = re.search(rf"<td>{model}</td><td data-label=.accuracy.>([\d.]+) %</td>", page)
    assert row[1] == f"{100 * found['metrics']:.1f}"
    assert len({round(float(accuracy), 6) for accuracy in found.values()}) == 1, found
    assert report["support"].tolist() == confusion.sum(axis=1).tolist()


@pytest.mark.parametrize("model", MODELS)
def test_a_prediction_is_the_breed_with_the_highest_probability_and_that_is_its_confidence(repository, model):
    predictions = read_predictions(repository, model)
    assert predictions["confidence"].tolist() == predictions[BREEDS].max(axis=1).tolist()
    assert predictions["predicted"].tolist() == predictions[BREEDS].idxmax(axis=1).tolist()


@pytest.mark.parametrize("model", MODELS)
def test_a_saved_model_gives_the_predictions_that_were_written(repository, model):
    classifier = load_classifier(repository.root / f"models/{model}.keras")
    assert classifier.breeds == BREEDS
    found = classifier.network.predict_on_batch(read_pictures(repository, "test", classifier.image_size))
    written = read_predictions(repository, model, dtype=str)[BREEDS]
    assert [[f"{value:.6f}" for value in row] for row in found[PROBABILITIES]] == written.to_numpy().tolist()
    table = pd.read_csv(repository.root / "plots/familiarity.csv", dtype={"familiarity": str})
    rows = table.query("model == @model and split == 'test'")
    assert [f"{value:.6f}" for value in found[FAMILIARITY]] == rows["familiarity"].tolist()
    threshold = conformal.find_threshold(classifier.known_familiarity, tiny_params()["evaluate"]["turned_away"])
    assert rows["unknown"].tolist() == conformal.is_unknown(found[FAMILIARITY], threshold).tolist()


def test_pictures_are_kept_in_one_size_and_each_network_takes_its_own(repository):
    params = tiny_params()
    files, _ = find_pictures(repository.root / "data/prepared", repository.root / "data/augmented")
    assert {Image.open(file).size for file in files} == {(params["data"]["image_size"],) * 2}
    for model in MODELS:
        classifier = load_classifier(repository.root / f"models/{model}.keras")
        assert classifier.prepared_size == params["data"]["image_size"] > classifier.image_size
        of_model = params["train_scratch"] if model.startswith("scratch") else params["backbones"][BACKBONE]
        assert classifier.image_size == of_model["image_size"]


# dvc.yaml says what a stage does


def below(root: Path, paths: list[str]) -> set[str]:
    """What of ``paths`` lies in the repository, relative to it; an unfinished output by its final name."""
    inside = {Path(path).relative_to(root) for path in paths if Path(path).is_relative_to(root)}
    return {"/".join(part.removesuffix(".partial").removesuffix(".scratch") for part in path.parts) for path in inside}


@pytest.fixture(params=[stage.removeprefix("data/dvc.yaml:") for stage in STAGES])
def recorded(request, first_run, stages):
    """A stage as it is declared, and what it read and wrote in the repository and which parameters it asked for.

    One that depends on which model is best, and on what is in that model's file, needs not declare the file, nor what
    the model answered to photos on which it depends.
    """
    repository, _, records = first_run
    stage = stages[request.param]
    record = records[stage.record]
    read, written = (below(repository.root, record[what]) for what in ("read", "written"))
    if "metrics/evaluate.json" in stage.keys:
        assert stage.keys["metrics/evaluate.json"] == OF_THE_BEST[stage.record]
        best = repository.json("metrics/evaluate.json")["best"]
        assert f"models/{best}.keras" in read
        read -= {f"models/{best}.keras", f"plots/predictions/{best}.csv"}
    return stage, read, written, record["params"]


def not_needed(repository: Repository, stage: Stage) -> set[str]:
    """What of a stage's deps it reads in some runs, and not in this one: of which photos pass for known is luck."""
    if stage.record == "convert":
        return {"data/prepared/train"}  # for `export.int8`
    evaluation = repository.json("metrics/evaluate.json")
    table = pd.read_csv(repository.root / "plots/familiarity.csv")
    mistaken = table[(table["model"] == evaluation["best"]) & (table["unknown"] == (table["split"] == "test"))]
    if stage.record != "report":
        return set()
    found = set() if (mistaken["split"] == "unknown").any() else {"data/prepared_unknown"}
    return found | ({"data/predictions"} if evaluation["best"].startswith("scratch") else set())


def test_a_stage_reads_only_what_it_declares_and_what_it_made(recorded):
    stage, read, _, _ = recorded
    read = {path for path in read if not path.endswith((".py", ".pyc", "__pycache__"))}
    read -= {""}  # the root, which DVC lists
    allowed = {*stage.deps, *stage.keys, *stage.outs, CHECKPOINTS, *DVCS}
    assert [path for path in sorted(read) if not is_within(path, allowed)] == []


def test_a_stage_declares_no_file_that_it_does_not_read(recorded, repository):
    stage, read, _, _ = recorded
    # h5py reads the weights, which the recorder can't see
    deps = [dep for dep in stage.deps if not dep.startswith("stages/") and dep != WEIGHTS]
    unread = {dep for dep in deps if not any(is_within(path, [dep]) for path in read)}
    assert unread <= not_needed(repository, stage)


def test_a_stage_writes_only_what_it_declares(recorded):
    stage, _, written, _ = recorded
    assert written
    assert [path for path in sorted(written) if not is_within(path, {*stage.outs, CHECKPOINTS, ".dvc"})] == []


def test_a_stage_declares_exactly_the_parameters_that_it_reads(recorded):
    stage, _, _, asked = recorded
    declared = {key for key in all_keys(tiny_params()) if any(is_meant(key, by) for by in stage.params)}
    if "backbones" in stage.params:  # all of each, or a backbone more would not be seen
        declared = {key for key in declared if not is_meant(key, "backbones")} | (asked & declared)
    assert asked == declared


# Telling the breed of a photo


def call_predict(monkeypatch, capsys, *arguments: object) -> tuple[int, str, str]:
    """The exit code of `python -m stages.predict`, run in this process, what it printed and what it complained of."""
    monkeypatch.setattr(sys, "argv", ["predict", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        run(predict.main)
    return stopped.value.code, *capsys.readouterr()


def use_models(repository: Repository, folder: Path, best: str) -> None:
    """Make ``folder`` hold what predict reads, with ``best`` as the best model."""
    for name in ("params.yaml", "models", "photos"):
        (folder / name).symlink_to(repository.root / name)
    (folder / "metrics").mkdir()
    scores = repository.json("metrics/evaluate.json") | {"best": best}
    (folder / "metrics" / "evaluate.json").write_text(json.dumps(scores))


def not_exported(repository: Repository) -> str:
    """A model that is not the best one, so that there is no exported file of it."""
    return next(model for model in MODELS if model != repository.json("metrics/evaluate.json")["best"])


@pytest.mark.parametrize("best", ["scratch_augmented", TRANSFER])
def test_predict_takes_the_best_model_and_tells_what_evaluate_wrote(repository, tmp_path, monkeypatch, capsys, best):
    use_models(repository, tmp_path, best)
    monkeypatch.chdir(tmp_path)
    predictions = read_predictions(repository, best)
    photos = ("photos/" + predictions["photo"]).tolist()
    code, printed, _ = call_predict(monkeypatch, capsys, "--json", *photos)
    answers = json.loads(printed)
    assert code == 0
    assert [answer["photo"] for answer in answers] == photos
    assert [answer["breeds"][0]["breed"] for answer in answers] == predictions["predicted"].tolist()
    threshold = repository.json("metrics/evaluate.json")[best]["threshold"]
    sure = [threshold is not None and confidence >= threshold for confidence in predictions["confidence"]]
    assert [answer["sure"] for answer in answers] == sure
    rows = pd.read_csv(repository.root / "plots/familiarity.csv").query("model == @best and split == 'test'")
    assert [answer["unknown"] for answer in answers] == rows["unknown"].tolist()
    assert [answer["familiarity"] for answer in answers] == rows["p_value"].tolist()
    probabilities = [{row["breed"]: row["probability"] for row in answer["breeds"]} for answer in answers]
    assert pd.DataFrame(probabilities)[BREEDS].to_numpy() == pytest.approx(predictions[BREEDS].to_numpy(), abs=2e-6)


def test_predict_averages_the_views_that_evaluate_averaged(repository, tmp_path, monkeypatch, capsys):
    use_models(repository, tmp_path, best=TRANSFER)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "metrics" / "evaluate.json"
    photo = f"photos/{BREEDS[0]}/00.jpg"
    mirrored = tmp_path / "mirrored.png"
    classifier = load_classifier(Path(f"models/{TRANSFER}.keras"))
    picture = to_square(read_photo(Path(photo), 10**8), classifier.prepared_size, classifier.resize)
    picture.save(tmp_path / "square.png")
    ImageOps.mirror(picture).save(mirrored)

    def probabilities(name: object) -> dict[str, float]:
        _, printed, _ = call_predict(monkeypatch, capsys, "--json", name)
        return {row["breed"]: row["probability"] for row in json.loads(printed)[0]["breeds"]}

    alone = [probabilities(each) for each in (tmp_path / "square.png", mirrored)]
    path.write_text(json.dumps(json.loads(path.read_text()) | {"views": 2}))
    averaged = probabilities(tmp_path / "square.png")
    assert averaged == pytest.approx({breed: (alone[0][breed] + alone[1][breed]) / 2 for breed in BREEDS}, abs=2e-6)
    assert averaged != pytest.approx(alone[0], abs=1e-4)


def test_predict_takes_a_model_by_name_and_by_path(repository, tmp_path, monkeypatch, capsys):
    use_models(repository, tmp_path, best="scratch_plain")
    monkeypatch.chdir(tmp_path)
    photo = f"photos/{BREEDS[0]}/00.jpg"
    by_name, by_path, by_default = (
        call_predict(monkeypatch, capsys, photo, *model)
        for model in (["--model", FINETUNE], ["--model", f"models/{FINETUNE}.keras"], [])
    )
    assert by_name[0] == 0
    assert by_name == by_path
    assert by_name[1] != by_default[1]


def evaluate_said(folder: Path, model: str, **thresholds: float | None) -> None:
    """Have metrics/evaluate.json tell other thresholds."""
    path = folder / "metrics" / "evaluate.json"
    evaluation = json.loads(path.read_text())
    evaluation[model] |= thresholds
    path.write_text(json.dumps(evaluation))


@pytest.mark.parametrize(
    ("threshold", "remark"),
    [
        (0.0, None),
        (0.999, "  not sure: it would be from 99.9% on"),
        (None, "  not sure: this model never is, it did not reach evaluate.target_accuracy on val"),
    ],
)
def test_predict_says_that_it_is_not_sure_and_lists_the_breeds(
    repository, tmp_path, monkeypatch, capsys, threshold, remark
):
    use_models(repository, tmp_path, best="scratch_plain")
    evaluate_said(tmp_path, "scratch_plain", threshold=threshold, familiarity_threshold=None)
    monkeypatch.chdir(tmp_path)
    code, printed, _ = call_predict(monkeypatch, capsys, f"photos/{BREEDS[0]}/00.jpg")
    lines = printed.splitlines()
    assert code == 0
    assert [line for line in lines if "not sure" in line] == ([remark] if remark else [])
    assert sorted(line.split()[0] for line in lines[-len(BREEDS) :]) == BREEDS


@pytest.mark.parametrize("threshold", [-1.0, 1.1], ids=["known", "unknown"])
def test_predict_says_that_a_photo_is_none_of_the_breeds_below_the_threshold_of_evaluate_and_lists_them_all_the_same(
    repository, tmp_path, monkeypatch, capsys, threshold
):
    use_models(repository, tmp_path, best=TRANSFER)
    evaluate_said(tmp_path, TRANSFER, threshold=None, familiarity_threshold=threshold)
    monkeypatch.chdir(tmp_path)
    code, printed, _ = call_predict(monkeypatch, capsys, f"photos/{BREEDS[0]}/00.jpg")
    lines = printed.splitlines()
    assert code == 0
    assert lines[1].startswith("  none of these breeds: ") == (threshold > 1)
    assert lines[1].startswith("  not sure: ") == (threshold < 1)
    assert sorted(line.split()[0] for line in lines[2:]) == BREEDS


def test_predict_knows_no_threshold_of_a_model_from_elsewhere(repository, tmp_path, monkeypatch, capsys):
    use_models(repository, tmp_path, best="scratch_plain")
    shutil.copyfile(repository.root / "models/scratch_plain.keras", tmp_path / "scratch_plain.keras")
    monkeypatch.chdir(tmp_path)
    photo = f"photos/{BREEDS[0]}/00.jpg"
    _, printed, _ = call_predict(monkeypatch, capsys, photo, "--model", "scratch_plain.keras", "--json")
    assert json.loads(printed)[0]["sure"] is None


def test_predict_goes_through_a_folder_and_names_what_is_no_picture(repository, tmp_path, monkeypatch, capsys):
    use_models(repository, tmp_path, best=not_exported(repository))
    monkeypatch.chdir(tmp_path)
    draw_photos(tmp_path / "mine", seed=3)
    (tmp_path / "mine" / "notes.txt").write_text("not a dog")
    (tmp_path / "mine" / ".hidden").write_text("not even looked at")
    code, printed, complaint = call_predict(monkeypatch, capsys, "mine", "--json")
    assert code == 1
    assert [answer["photo"] for answer in json.loads(printed)] == sorted(map(str, Path("mine").rglob("*.jpg")))
    assert complaint == f"{predict.BY_KERAS}\nnot read: mine/notes.txt: not a picture\n"


def test_predict_passes_over_clutter_and_names_a_folder_without_photos(repository, tmp_path, monkeypatch, capsys):
    use_models(repository, tmp_path, best=not_exported(repository))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "Thumbs.db").write_text("clutter")
    shutil.copyfile(f"photos/{BREEDS[0]}/00.jpg", tmp_path / "one" / "dog.jpg")
    code, printed, complaint = call_predict(monkeypatch, capsys, "empty", "one")
    assert code == 1
    assert printed.startswith("one/dog.jpg\n")
    assert complaint == f"{predict.BY_KERAS}\nnot read: empty: a folder without photos\n"


def test_predict_with_an_unknown_model_names_the_known_ones(repository, tmp_path, monkeypatch, capsys):
    use_models(repository, tmp_path, best="scratch_plain")
    monkeypatch.chdir(tmp_path)
    code, printed, complaint = call_predict(monkeypatch, capsys, "dog.jpg", "--model", "finetun")
    assert (code, printed) == (1, "")
    assert complaint == UNKNOWN_MODEL.format("finetun")


@pytest.mark.parametrize("evaluated", [False, True], ids=["nothing was run", "a fresh clone, metrics but no models"])
def test_predict_without_a_model_says_how_to_make_one(repository, tmp_path, monkeypatch, capsys, evaluated):
    shutil.copyfile(repository.root / "params.yaml", tmp_path / "params.yaml")
    if evaluated:
        shutil.copytree(repository.root / "metrics", tmp_path / "metrics")
    monkeypatch.chdir(tmp_path)
    code, printed, complaint = call_predict(monkeypatch, capsys, "dog.jpg")
    assert code == 1
    assert printed == ""
    assert complaint.startswith("error: ")
    assert "dvc repro" in complaint
    assert len(complaint.splitlines()) == 1


# Looking at the results


def test_dvc_plots_shows_the_curves_and_the_confusion_matrix_of_all_models(repository, tmp_path):
    repository.dvc("plots", "show", "-o", str(tmp_path))
    page = (tmp_path / "index.html").read_text()
    assert [model for model in MODELS if f'"model": "{model}", "step": "0"' not in page] == []
    assert [model for model in MODELS if f'"model": "{model}", "actual": "{BREEDS[0]}"' not in page] == []


def test_dvc_metrics_shows_the_scores_of_all_models(repository):
    shown = json.loads(repository.dvc("metrics", "show", "--json").stdout)[""]["data"]
    assert set(shown) == {f"metrics/{split}/{model}.json" for split in ("val", "test") for model in MODELS}
    assert all(found["data"] == repository.json(path) for path, found in shown.items())


def test_dvc_metrics_needs_120_columns_for_the_models_of_params_yaml(tmp_path, monkeypatch):
    params = read_params()
    repository = Repository(tmp_path)
    save_params(repository, params)
    monkeypatch.chdir(tmp_path)
    models = list_models(params["backbones"])
    for split in ("val", "test"):
        evaluate.write_headlines(split, dict.fromkeys(models, dict.fromkeys(SCORES, 0.123456)))
    table = repository.dvc("metrics", "show").stdout.splitlines()
    assert len(table) == 1 + 2 * len(models)
    assert max(map(len, table)) <= 120


# One change at a time


def test_a_changed_confidence_level_runs_no_inference_and_dvc_tells_what_it_did(repository, experiment):
    assert experiment(**{"evaluate.confidence_level": 0.8}) == {*COMPARING, LEFT_OUT}

    params = json.loads(repository.dvc("params", "diff", "--json").stdout)["params.yaml"]
    assert list(params) == ["evaluate.confidence_level"]
    assert (params["evaluate.confidence_level"]["old"], params["evaluate.confidence_level"]["new"]) == (0.95, 0.8)
    metrics = json.loads(repository.dvc("metrics", "diff", "--json").stdout)
    assert set(metrics) == {f"metrics/{split}/{model}.json" for split in ("val", "test") for model in MODELS}
    of_finetune = metrics[f"metrics/test/{FINETUNE}.json"]
    assert set(of_finetune) == {"accuracy_low", "accuracy_high"}  # DVC has no order
    assert of_finetune["accuracy_low"]["diff"] > 0
    repository.dvc("plots", "diff", "-o", "dvc_plots")
    page = (repository.root / "dvc_plots/index.html").read_text()
    assert [word for word in ("workspace", "HEAD", FINETUNE) if word not in page] == []
    assert "dvc_plots" not in repository.git("status", "--porcelain")
    committed = repository.git("log", "--all", "--name-only", "--format=").splitlines()
    assert "params.yaml" in committed
    assert [file for file in committed if is_within(file, ["photos"])] == [], "the folder that Git ignores"


@pytest.mark.slow
def test_another_share_to_turn_away_trains_nothing_and_asks_no_model(repository, experiment):
    before = repository.json("metrics/evaluate.json")
    assert experiment(**{"evaluate.turned_away": 0.25}) == {*COMPARING, LEFT_OUT}
    after = repository.json("metrics/evaluate.json")
    assert [after[model]["familiarity_threshold"] for model in MODELS] != [
        before[model]["familiarity_threshold"] for model in MODELS
    ]


@pytest.mark.slow
@pytest.mark.parametrize("photos", [2, 0])
def test_other_unknown_photos_or_none_train_nothing_and_are_asked_about(changed, tmp_path, photos):
    for number in range(photos):
        Image.new("RGB", (50, 50), ("purple", "orange")[number]).save(tmp_path / f"{number}.png")
    params = tiny_params()
    params["data"]["unknown"] = str(tmp_path)
    save_params(changed, params)
    asked = {"prepare_unknown", "predictions_scratch", f"predictions@{BACKBONE}"}
    assert stages_run(changed.dvc("repro").stdout) == {*asked, *COMPARING}
    scores = changed.json("metrics/evaluate.json")
    assert [scores[model]["unknown_photos"] for model in MODELS] == [photos] * len(MODELS)
    assert f"Anything else: {tmp_path} (data.unknown)." in read_page(changed)


@pytest.mark.slow
def test_a_change_to_finetune_trains_finetune_alone(repository, experiment):
    assert experiment(**{"finetune.learning_rate": 0.001}) == AFTER_FINETUNE
    metrics = json.loads(repository.dvc("metrics", "diff", "--json").stdout)
    assert set(metrics) == {f"metrics/val/{FINETUNE}.json", f"metrics/test/{FINETUNE}.json"}
    assert metrics[f"metrics/val/{FINETUNE}.json"]["log_loss"]["diff"] != 0


@pytest.mark.slow
def test_a_change_to_transfer_repeats_no_features(experiment):
    ran = experiment(**{"transfer.learning_rate": 0.01})
    assert ran == {f"transfer@{BACKBONE}-plain", f"transfer@{BACKBONE}-augmented"} | AFTER_FINETUNE


@pytest.mark.slow
def test_a_change_to_augment_leaves_the_plain_models_alone(experiment):
    ran = experiment(**{"augment.copies": 1})
    trained = {"train_scratch@augmented", f"transfer@{BACKBONE}-augmented"}
    assert ran == {"augment", f"view_features@{BACKBONE}", *trained, "predictions_scratch"} | AFTER_FINETUNE


@pytest.mark.slow
def test_a_change_to_the_layers_that_train_again_leaves_the_features_of_all_heads_as_they_are(experiment):
    ran = experiment(**{f"backbones.{BACKBONE}.finetune_layers": 2})
    assert ran == {f"features@{BACKBONE}", f"view_features@{BACKBONE}"} | AFTER_FINETUNE


@pytest.mark.slow
def test_a_change_to_the_averaged_views_trains_nothing_and_changes_the_answers(repository, experiment):
    before = read_predictions(repository, TRANSFER)
    ran = experiment(**{"evaluate.views": 2})
    assert ran == AFTER_FINETUNE - {f"finetune@{BACKBONE}"} | {"predictions_scratch"}
    after = read_predictions(repository, TRANSFER)
    network = load_classifier(repository.root / f"models/{TRANSFER}.keras").network
    pictures = read_pictures(repository, "test", network.input_shape[1])
    alone, mirrored = (network.predict_on_batch(each)[PROBABILITIES] for each in (pictures, pictures[:, :, ::-1]))
    expected = (alone + mirrored) / 2
    assert after[BREEDS].to_numpy() == pytest.approx(expected, abs=2e-5)
    assert before[BREEDS].to_numpy() != pytest.approx(expected, abs=1e-4)
    assert repository.json("metrics/evaluate.json")["views"] == 2


@pytest.mark.slow
def test_going_back_to_earlier_params_restores_results_without_running_anything(repository, experiment):
    seed = tiny_params()["seed"]
    before = (repository.root / "data/prepared/manifest.csv").read_bytes()
    assert experiment("prepare", seed=seed + 1) == {"prepare"}
    assert (repository.root / "data/prepared/manifest.csv").read_bytes() != before
    assert experiment("prepare", seed=seed) == set()
    assert (repository.root / "data/prepared/manifest.csv").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("written", [0, 0.7])
def test_a_lock_file_that_dvc_was_killed_over_is_removed_and_nothing_is_trained_again(repository, written):
    lock = repository.root / "dvc.lock"
    whole = lock.read_text()
    lock.write_text(whole[: int(written * len(whole))].rpartition("md5:")[0] + "md")
    told = repository.dvc("repro", fails=True).stderr
    assert re.match(r"'\./dvc\.lock' (is invalid|validation failed)", told), told
    lock.unlink()
    assert stages_run(repository.dvc("repro").stdout) == {"evaluate", "report"}, "whose outputs DVC does not keep"
    assert yaml.safe_load(lock.read_text()) == yaml.safe_load(whole)


@pytest.mark.slow
def test_photos_and_weights_may_lie_outside_the_repository(repository, experiment, tmp_path):
    draw_photos(tmp_path / "photos", seed=2)
    write_weights(build_backbone("VGG16", image_size=32), tmp_path / "own.weights.h5")
    before = (repository.root / "data/prepared/manifest.csv").read_bytes()
    weights = {f"backbones.{BACKBONE}.weights": tmp_path / "own.weights.h5"}
    ran = experiment("features", **{"data.source": tmp_path / "photos"}, **weights)
    assert ran == {"prepare", f"features@{BACKBONE}"}
    assert (repository.root / "data/prepared/manifest.csv").read_bytes() != before


# Backbones come and go


@pytest.fixture
def two_backbones():
    """params.yaml with a second backbone: the same network at another size."""
    params = tiny_params()
    params["backbones"][SECOND] = vgg16(image_size=48)
    return params


@pytest.mark.slow
def test_a_backbone_more_runs_its_own_stages_and_those_that_compare_and_is_everywhere(
    repository, two_backbones, reproduce
):
    models = list_models(two_backbones["backbones"])
    save_params(repository, two_backbones)
    assert reproduce("repro", "--no-run-cache") == {*OF_SECOND, *COMPARING}
    assert list(repository.json("metrics/evaluate.json"))[: len(models)] == models
    for table in TABLES:
        assert pd.read_csv(repository.root / f"plots/{table}.csv")["model"].unique().tolist() == models
    page = read_page(repository)
    assert [model for model in models if f"<td>{model}</td>" not in page] == []


@pytest.mark.slow
def test_of_a_backbone_less_nothing_is_left_and_its_models_are_refused_by_name(repository, two_backbones, reproduce):
    before = list_outputs(repository)
    save_params(repository, two_backbones)
    repository.dvc("repro")
    added = list_outputs(repository) - before
    assert {f"models/{SECOND}_finetune.keras", f"plots/confusion/{SECOND}_finetune.png"} <= added

    save_params(repository, tiny_params())
    assert reproduce("repro", "--no-run-cache") == COMPARING
    assert list_outputs(repository) == before
    assert repository.dvc("status", "dvc.yaml").stdout.strip() == "Data and pipelines are up to date."
    assert reproduce("repro") == set()
    model = f"{SECOND}_finetune"
    refused = repository.python("-m", "stages.predict", "photos", "--model", model, fails=True)
    assert refused.stderr == UNKNOWN_MODEL.format(model)


@pytest.mark.slow
def test_a_backbone_that_comes_back_is_restored_and_not_trained(changed, two_backbones, contents):
    save_params(changed, two_backbones)
    changed.dvc("repro")
    models = contents(changed.root / "models")
    save_params(changed, tiny_params())
    changed.dvc("repro")
    save_params(changed, two_backbones)
    assert stages_run(changed.dvc("repro").stdout) == {"evaluate", "report"}, "which have no run cache"
    assert contents(changed.root / "models") == models


# Two at once


@pytest.mark.slow
def test_a_second_run_in_one_checkout_is_told_that_the_first_is_at_work_and_spoils_nothing(changed):
    params = tiny_params()
    params["finetune"]["learning_rate"] = 0.003
    save_params(changed, params)
    command = [sys.executable, "-m", "dvc", "repro"]
    first = subprocess.Popen(
        command, cwd=changed.root, env=changed.environment | {"PYTHONUNBUFFERED": "1"}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    said = []
    for line in first.stdout:
        said.append(line)
        if line.startswith("Running stage 'finetune@"):
            break
    second = changed.dvc("repro", fails=True)
    said.append(first.stdout.read())
    assert first.wait() == 0, said
    assert re.search(rf"is busy, it is being blocked by:\s+\(PID {first.pid}\): ", second.stderr)
    assert stages_run(second.stdout) == set()
    assert stages_run("".join(said)) - set(OF_THE_BEST) == AFTER_FINETUNE
    assert stages_run(changed.dvc("repro").stdout) == set()


@pytest.mark.slow
def test_experiments_in_a_queue_run_two_at_a_time_and_give_what_they_give_alone(changed, workers):
    repository = changed
    photos = f'"{repository.root}/photos"'  # what Git ignores is not in the folders that the workers run in
    rates = (0.02, 0.04)
    for rate in rates:
        repository.dvc(
            "exp", "run", "--queue", "--name", f"rate-{rate * 100:.0f}",
            "-S", f"data.source={photos}", "-S", f"finetune.learning_rate={rate}",
        )  # fmt: skip
    workers()
    deadline = time.monotonic() + 900
    while (status := repository.dvc("queue", "status").stdout).count("Success") < len(rates):
        assert "Failed" not in status, repository.dvc("queue", "logs", "rate-2").stdout
        assert time.monotonic() < deadline, status
        time.sleep(2)
    found = {}
    for name in ("rate-2", "rate-4"):
        branch = f"queued-{name}"
        repository.dvc("exp", "branch", name, branch)
        found[name] = [repository.git("show", f"{branch}:{path}") for path in FINETUNED]
    assert found["rate-2"] != found["rate-4"]
    alone = repository.dvc("exp", "run", "-S", f"data.source={photos}", "-S", "finetune.learning_rate=0.02")
    # some of them are restored: the workers share DVC's cache
    assert stages_run(alone.stdout) <= {"prepare"} | AFTER_FINETUNE | set(OF_THE_BEST)
    assert [(repository.root / path).read_text() for path in FINETUNED] == found["rate-2"]


# Mistakes in params.yaml


def test_mistakes_in_params_stop_the_first_stage_with_one_clear_line_each(tmp_path):
    params = tiny_params()
    params["split"]["tset"] = 0.25
    params["finetune"]["steps"] = "many"  # in a section of a later stage
    done = new_repository(tmp_path, params).dvc("repro", fails=True)
    assert stages_run(done.stdout) == {"prepare"}
    assert [line for line in done.stderr.splitlines() if "params.yaml" in line] == [
        "error: params.yaml: split.tset is no parameter: did you mean test?",
        "params.yaml: finetune.steps should be a valid integer. Received: 'many'",
    ]
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "data/prepared").exists()
