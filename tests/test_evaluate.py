"""What evaluate says beside the scores: the best model, what to beware of, what is fitted and on what."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from tiny_pipeline import list_models, vgg16

from stages import evaluate
from stages.lib.core import paths
from stages.lib.core.models import list_families, plan_comparisons
from stages.lib.core.outputs import write_json
from stages.lib.core.params import load_params
from stages.lib.core.tables import read_csv, write_csv
from stages.lib.datasets.predictions import Predictions, write_models, write_predictions
from stages.lib.evaluation.answer import answer_in_a_sentence, best_on_val
from stages.lib.evaluation.caveats import describe_test, find_caveats
from stages.lib.evaluation.comparisons import compare_models
from stages.lib.evaluation.judging import judge
from stages.lib.evaluation.mended_labels import score_both

MODELS = list_models(["A", "B"])


def scores_on_val(accuracy: float, loss: float) -> dict[str, float]:
    return {"accuracy": accuracy, "log_loss": loss}


@pytest.mark.parametrize("best", MODELS)
def test_best_model_has_the_highest_accuracy_on_val(best):
    scores = {model: scores_on_val(0.9 if model == best else 0.8, 0.5) for model in MODELS}
    assert best_on_val(scores) == best


def test_of_models_with_the_same_accuracy_on_val_the_one_with_the_lower_loss_is_best():
    scores = dict.fromkeys(MODELS, scores_on_val(0.9, 0.5))
    scores |= {"A_transfer_plain": scores_on_val(0.9, 0.4), "B_finetune": scores_on_val(0.8, 0.1)}
    assert best_on_val(scores) == "A_transfer_plain"
    assert best_on_val(dict.fromkeys(MODELS, scores_on_val(0.9, 0.5))) == min(MODELS)


VGG16 = {"VGG16": "data/weights/VGG16-bundled.weights.h5"}
LITE = {"Lite": "data/weights/EfficientNetLite2-bundled.weights.h5"}
IMAGENET = {"ResNet": "data/weights/ResNet50V2-imagenet.weights.h5"}
MINE = {"mine": "w.weights.h5"}
OWN = ["beagle (1).jpg"] * 30
SUPPORT = {"Beagle": 30}


@pytest.mark.parametrize(
    ("photos", "support", "source", "weights", "expected"),
    [
        (OWN, SUPPORT, "photos", IMAGENET | LITE, []),
        (OWN, SUPPORT, "data/sample", MINE, ["These are drawn pictures"]),
        (OWN, SUPPORT, "./data/../data/sample", MINE, ["These are drawn pictures"]),
        (["n02085620_1.jpg", *OWN[1:]], SUPPORT, "dogs", IMAGENET, ["These photos are ImageNet's, and so are the"]),
        (OWN, SUPPORT, "data/stanford_dogs", IMAGENET, ["These photos are ImageNet's, and so are the"]),
        (OWN, SUPPORT, "data/stanford_dogs", MINE, ["These photos are ImageNet's. If the weights of mine are too"]),
        (OWN, SUPPORT, "dogs", VGG16, ["The weights of VGG16 are the bundled ones"]),
        (OWN, {"Akita": 10, "Beagle": 20}, "dogs", MINE, ["Fewer than 20 test photos"]),
        (
            ["n02085620_1.jpg"],
            {"Akita": 1},
            "dogs",
            VGG16 | LITE,
            ["These photos are ImageNet's, and so are the", "The weights of VGG16 are the bundled", "Fewer than 20"],
        ),
    ],
)
def test_reader_is_warned_of_what_makes_numbers_mean_less(photos, support, source, weights, expected):
    found = find_caveats(photos, support, source, weights)
    assert [caveat[: len(start)] for caveat, start in zip(found, expected, strict=True)] == expected


def test_a_warning_names_the_backbones_that_it_is_about_and_no_other():
    overlap, bundled = find_caveats(OWN, SUPPORT, "data/stanford_dogs", VGG16 | MINE | LITE)
    assert overlap == (
        "These photos are ImageNet's, and so are the weights of VGG16 and Lite: they have most likely seen the test "
        "photos. If the weights of mine are too, it has most likely seen the test photos. Expect less of such models "
        "on photos of your own; scratch is not concerned."
    )
    assert bundled.endswith("are one parameter away (backbones.VGG16.weights).")


def test_warning_names_the_breeds_with_few_photos_or_none_and_no_other():
    (caveat,) = find_caveats(OWN, {"Akita": 10, "Beagle": 20, "Corgi": 0}, "dogs", MINE)
    assert caveat.endswith(": Akita (10), Corgi (0).")


@pytest.mark.parametrize(
    ("source", "photos", "words"),
    [
        ("data/sample", OWN, "30 drawn test pictures"),
        ("photos", OWN, "30 test photos"),
        ("photos", ["n02085620_1.jpg"] * 30, "30 ImageNet test photos"),
    ],
)
def test_what_was_tested_on_is_told_where_results_are_shown(source, photos, words):
    assert describe_test(30, source, photos) == words


SCORES = {"accuracy": 0.95, "accuracy_low": 0.9, "accuracy_high": 0.975}
COSTS = {"milliseconds_batch_1": 21.4, "megabytes": 24.9}


def compare(best: str, right: dict[str, str]) -> pd.DataFrame:
    """Compare a model with each other one by their answers, such as "110": right, right, wrong."""
    answers = {model: np.array([answer == "1" for answer in found]) for model, found in right.items()}
    return compare_models(answers, [("best", best, other) for other in right if other != best], 0.95)


def test_the_answer_in_a_sentence_says_which_model_to_take_what_it_costs_and_what_it_beats():
    right = {"a": "0" * 40, "b": "1" * 40, "c": "1" * 40, "d": "1" * 30 + "0" * 10}
    assert answer_in_a_sentence("b", SCORES, COSTS, compare("b", right), "40 test photos", 0.95) == (
        "Take b: chosen on val, it is right on 95.0 % of the 40 test photos (95 % interval: 90.0 % to 97.5 %), at "
        "21 ms a photo and 24.9 MB; it beats a and d and can't be told apart from c."
    )
    worst = answer_in_a_sentence("a", SCORES, COSTS, compare("a", right), "", 0.95)
    assert worst.endswith("; it is beaten by b, c and d.")


def test_where_there_are_many_models_their_number_is_told():
    right = {"best": "1" * 40, **{f"like{number}": "1" * 40 for number in range(19)}}
    sentence = answer_in_a_sentence("best", SCORES, COSTS, compare("best", right), "40 test photos", 0.95)
    assert sentence.endswith("; it can't be told apart from the other 19.")


def test_pairs_that_the_best_is_not_of_are_no_part_of_the_answer():
    right = {"a": np.zeros(40, bool), "b": np.ones(40, bool), "c": np.ones(40, bool)}
    comparisons = compare_models(right, [("augmentation", "a", "b"), ("best", "c", "b")], 0.95)
    sentence = answer_in_a_sentence("c", SCORES, COSTS, comparisons, "40 test photos", 0.95)
    assert sentence.endswith("; it can't be told apart from b.")


@pytest.fixture
def judge_with():
    """Judge a model by its answers about 60 photos of val and of test, with other settings, seeds and test photos."""
    generator = np.random.default_rng(1)
    settings = load_params(ROOT / "params.yaml").evaluate
    val, on_val = list(generator.choice(["a", "b"], 60)), generator.dirichlet([1, 1], 60)

    def judged(test_seed: int = 0, seed: int = 1, **changes: object):
        generator = np.random.default_rng(test_seed)
        test, on_test = list(generator.choice(["a", "b"], 60)), generator.dirichlet([1, 1], 60)
        return judge(["a", "b"], val, on_val, test, on_test, settings.model_copy(update=changes), seed)

    return judged


def test_what_is_fitted_is_fitted_on_val_and_test_changes_none_of_it(judge_with):
    one, other = (judge_with(test_seed) for test_seed in (0, 1))
    assert one.scores["accuracy"] != other.scores["accuracy"]
    for name in ("temperature", "threshold", "val_coverage"):
        assert one.scores[name] == other.scores[name]
    assert one.val_scores == other.val_scores


@pytest.mark.parametrize("changes", [{"confidence_level": 0.5}, {"target_accuracy": 0.6}, {"seed": 2}], ids=str)
def test_no_setting_of_evaluate_changes_which_model_is_best(judge_with, changes):
    """So that another confidence level repeats no inference; see `PARTS` in test_graph.py."""
    one, other = judge_with(), judge_with(**changes)
    assert (one.scores, one.val_scores) != (other.scores, other.val_scores), "it changed nothing at all"
    for name in ("accuracy", "log_loss"):  # by which the best one is chosen
        assert one.val_scores[name] == other.val_scores[name]


# The stage


BREEDS = ["Akita", "NA"]
PHOTOS = 30


KNOWN = np.linspace(0.1, 0.86, 39).tolist()  # of known photos; a share of 0.05 of them are the least familiar


def of_family(models: tuple[str, ...], familiarity: np.ndarray) -> dict[str, np.ndarray]:
    """The same for each model, as those on a backbone have it; another for each from scratch."""
    from_scratch = models == list_families([])["scratch"]
    return {model: familiarity / (1 + place * from_scratch) for place, model in enumerate(models)}


def write_answers(families: dict[str, tuple[str, ...]], unknown: int = 7, known: list[float] = KNOWN) -> None:
    """What the stages before would have made of all ``families``, with answers at random.

    ``unknown`` is how many photos there are of anything else, ``known`` how familiar known ones are.
    """
    generator = np.random.default_rng(0)
    photos, actual = [f"{number}.jpg" for number in range(PHOTOS)], list(generator.choice(BREEDS, PHOTOS))
    paths.PREPARED.mkdir(parents=True)
    folders = [BREEDS[1 - BREEDS.index(actual[0])], *actual[1:]]  # the first was moved by a person
    write_csv(pd.DataFrame({"file": photos, "folder_breed": folders}), paths.PREPARED / "manifest.csv")
    for family, models in families.items():
        folder = paths.PREDICTIONS / family
        folder.mkdir(parents=True)
        for split in ("val", "test", "unknown"):
            files = [f"cats/{number}.jpg" for number in range(unknown)] if split == "unknown" else photos
            breeds = ["cats"] * unknown if split == "unknown" else actual
            answers = {model: generator.dirichlet([1, 1], len(files)).astype(np.float32) for model in models}
            familiarity = of_family(models, generator.uniform(0, 1, len(files)).astype(np.float32))
            write_predictions(folder, split, Predictions(files, breeds, answers, familiarity))
        about = {"breeds": BREEDS, "parameters": 7, "megabytes": 0.1, "known_familiarity": known}
        write_models(folder, {model: {**about, "sha256": f"of {model}"} for model in models})
        timed = {"milliseconds_batch_1": 2.0}
        write_json(paths.PREDICTION_COSTS / f"{family}.json", dict.fromkeys(models, timed))
        for model in models:
            write_json(paths.TRAINING_COSTS / f"{model}.json", {"training_seconds": 3.0})
            write_csv(
                pd.DataFrame({"step": [0, 3], "learning_rate": [0, 4.2e-7]}), paths.HISTORY / f"{model}.csv", "%.6g"
            )
    paths.DATA_SIZE.mkdir()
    np.save(paths.DATA_SIZE / "right.npy", generator.random((2, 2, PHOTOS)) < 0.5)
    write_csv(pd.DataFrame({"breed": actual, "log_loss": generator.random(PHOTOS)}), paths.DATA_SIZE / "losses.csv")
    write_csv(pd.DataFrame({"repeat": [0, 0, 1, 1], "photos": [20, 40] * 2}), paths.PLOTS / "data_size.csv")


def with_backbones(path: Path, write_params, names: list[str]) -> None:
    write_params(path, backbones=dict.fromkeys(names, vgg16(image_size=32)), main_backbone=names[0])


@pytest.mark.parametrize("count", [1, 6])
def test_each_model_is_in_all_that_the_stage_makes_however_many_backbones_there_are(
    tmp_path, monkeypatch, write_params, run_stage, count
):
    monkeypatch.chdir(tmp_path)
    names = [f"network-{number}" for number in range(count)]
    with_backbones(paths.PARAMS, write_params, names)
    write_answers(list_families(names))
    assert run_stage(evaluate.main, tmp_path) == 0

    models, found = set(list_models(names)), json.loads(paths.EVALUATION.read_text())
    others = {"best", "best_sha256", "views", "test_photos", "drawn", "caveats"}
    assert found.keys() == models | others
    assert found["best_sha256"] == f"of {found['best']}"
    tables = {file.stem: pd.read_csv(file) for file in [*paths.PLOTS.glob("*.csv"), paths.COSTS / "evaluate.csv"]}
    del tables["data_size"], tables["more_photos"]
    assert sorted(read_csv(paths.PLOTS / "more_photos.csv")["breed"]) == BREEDS
    pairs, roc = tables.pop("comparisons"), tables.pop("familiarity_roc")
    assert roc["model"].unique().tolist() == ["scratch_plain", "scratch_augmented", *names], "the others have the same"
    assert {name: set(table["model"]) for name, table in tables.items()} == dict.fromkeys(tables, models)
    assert pairs[["question", "first", "second"]].to_numpy().tolist() == [
        list(pair) for pair in plan_comparisons(list_families(names), found["best"])
    ]
    for folder in ("metrics/val", "metrics/test", "plots/predictions"):
        assert {file.stem for file in Path(folder).iterdir()} == models
    assert tables["learning_curves"].columns.tolist() == ["model", "step", "learning_rate"]
    assert tables["learning_curves"]["learning_rate"].max() == 4.2e-7
    told = ["model", "accuracy", "parameters", "megabytes", "training_seconds", "milliseconds_batch_1"]
    assert tables["evaluate"].columns.tolist() == told


def test_scores_by_labels_as_they_came_and_as_mended_differ_by_the_photos_that_were_moved(evaluated):
    evaluated()
    found = json.loads((paths.METRICS / "mended_labels.json").read_text())
    assert set(found) == set(list_models(["A"]))
    for model, scores in found.items():
        assert (scores["photos"], scores["mended"]) == (PHOTOS, 1)
        assert scores["accuracy"] == json.loads(paths.EVALUATION.read_text())[model]["accuracy"]
        assert scores["log_loss"] == json.loads(paths.EVALUATION.read_text())[model]["log_loss"]
        assert scores["only_as_mended"] + scores["only_as_came"] == 1, "of two breeds, one is right"
        changed = (scores["only_as_mended"] - scores["only_as_came"]) / PHOTOS
        assert round(scores["accuracy"] - scores["accuracy_as_came"], 5) == round(changed, 5)
        assert scores["p"] == 1


def test_both_scores_worked_out_by_hand():
    probabilities = np.array([[0.8, 0.2], [0.9, 0.1], [0.4, 0.6], [0.3, 0.7]])
    found = score_both(["B", "A", "B", "A"], ["A", "A", "B", "B"], probabilities, ["A", "B"])
    losses = -np.log([0.8, 0.9, 0.6, 0.7]), -np.log([0.2, 0.9, 0.6, 0.3])
    assert found == {
        "photos": 4, "mended": 2, "accuracy": 1.0, "log_loss": round(losses[0].mean(), 6),
        "accuracy_as_came": 0.5, "log_loss_as_came": round(losses[1].mean(), 6),
        "only_as_mended": 2, "only_as_came": 0, "p": 0.5,
    }  # fmt: skip


@pytest.fixture
def evaluated(tmp_path, monkeypatch, write_params, run_stage, capsys):
    """Run the stage with one backbone; give the scores of each model, the rows of familiarity.csv, and what it says."""

    def run(**kinds: object):
        monkeypatch.chdir(tmp_path)
        with_backbones(paths.PARAMS, write_params, ["A"])
        write_answers(list_families(["A"]), **kinds)
        assert run_stage(evaluate.main, tmp_path) == 0
        found = json.loads(paths.EVALUATION.read_text())
        table = read_csv(paths.PLOTS / "familiarity.csv")
        return {model: found[model] for model in list_models(["A"])}, table, capsys.readouterr().out

    return run


def test_what_each_model_turns_away_is_in_its_scores_and_each_photo_in_the_table(evaluated):
    scores, table, told = evaluated(unknown=7)
    assert list(table.columns) == [
        *("model", "split", "photo", "predicted", "confidence", "familiarity", "p_value", "unknown")
    ]
    for model, of_model in table.groupby("model"):
        found = dict(iter(of_model.groupby("split")))
        assert {split: len(rows) for split, rows in found.items()} == {"test": PHOTOS, "unknown": 7}
        assert scores[model]["familiarity_threshold"] == round(KNOWN[1], 6)
        assert (scores[model]["known_photos"], scores[model]["unknown_photos"]) == (39, 7)
        below = of_model["familiarity"] < scores[model]["familiarity_threshold"]
        assert of_model["unknown"].tolist() == below.tolist() == (of_model["p_value"] <= 0.05).tolist()
        assert scores[model]["turned_away"] == pytest.approx(found["test"]["unknown"].mean(), abs=1e-6)
        assert scores[model]["unknown_turned_away"] == pytest.approx(found["unknown"]["unknown"].mean(), abs=1e-6)
        assert "known_familiarity" not in scores[model], "it is in the model's file"
    assert scores["A_finetune"]["unknown_auc"] == scores["A_transfer_plain"]["unknown_auc"]
    assert scores["A_finetune"]["unknown_auc"] != scores["scratch_plain"]["unknown_auc"]
    assert "Of 7 drawn scenes without a dog (data/sample_unknown), it turns away " in told


def test_without_unknown_photos_nothing_is_said_of_them_and_the_rest_stays(evaluated):
    scores, table, told = evaluated(unknown=0)
    assert {key for model in scores.values() for key in model if key.startswith("unknown")} == {"unknown_photos"}
    assert all({"familiarity_threshold", "due_low", "turned_away"} <= set(model) for model in scores.values())
    assert table["split"].value_counts().to_dict() == {"test": PHOTOS * len(scores)}
    assert "without a dog" not in told
    assert "“none of these breeds”" in told
    roc = (paths.PLOTS / "familiarity_roc.csv").read_text().splitlines()
    assert roc == ["model,known_turned_away,unknown_turned_away"]


def test_with_too_few_known_photos_no_model_turns_anybody_away(evaluated):
    scores, table, told = evaluated(known=KNOWN[:18])
    assert {model["familiarity_threshold"] for model in scores.values()} == {None}
    assert {model["turned_away"] for model in scores.values()} == {0}
    assert not table["unknown"].any()
    assert " turns nobody away: to call 5 % of known photos “none of these breeds” takes 19 that can" in told
    assert "and there are 18." in told


def test_of_a_backbone_that_was_taken_off_nothing_is_left_and_it_is_told(
    tmp_path, monkeypatch, write_params, run_stage, capsys, contents
):
    monkeypatch.chdir(tmp_path)
    with_backbones(paths.PARAMS, write_params, ["A", "B"])
    write_answers(list_families(["A", "B"]))
    assert run_stage(evaluate.main, tmp_path) == 0
    assert "removed" not in capsys.readouterr().out
    with_backbones(paths.PARAMS, write_params, ["A"])
    assert run_stage(evaluate.main, tmp_path) == 0
    assert "\nremoved the files of B, which is no backbone of params.yaml any more\n" in capsys.readouterr().out
    made = contents(tmp_path)
    assert [name for name, content in made.items() if "B_" in name or b"B_" in content] == []
    assert {name.split("/")[2] for name in made if name.startswith("data/predictions/")} == {"A", "scratch"}


def test_every_committed_number_of_the_sample_comes_from_drawn_pictures_that_are_hard_enough(root):
    scores = json.loads((root / "metrics/evaluate.json").read_text())
    if not scores["drawn"]:
        pytest.skip("metrics/ is of other pictures than the drawn ones")
    models = load_params(root / "params.yaml").models
    accuracies = {model: scores[model]["accuracy"] for model in models}
    assert max(accuracies.values()) < 1
    tuned = [accuracy for model, accuracy in accuracies.items() if model.endswith("_finetune")]
    assert accuracies["scratch_plain"] < max(tuned) - 0.1
    others = [model for model in models if not model.endswith("_finetune")]  # which may be the head that it starts from
    predictions = {(root / f"plots/predictions/{model}.csv").read_bytes() for model in others}
    assert len(predictions) == len(others), "two models give the very same probabilities"
