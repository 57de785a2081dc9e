"""What evaluate says beside the scores: the best model, what to beware of, what is fitted and on what."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

from stages.lib.core.models import MODELS
from stages.lib.core.params import load_params
from stages.lib.evaluation.answer import answer_in_a_sentence, best_on_val
from stages.lib.evaluation.caveats import describe_test, find_caveats
from stages.lib.evaluation.comparisons import compare_models
from stages.lib.evaluation.judging import judge


def scores_on_val(accuracy: float, loss: float) -> dict[str, float]:
    return {"accuracy": accuracy, "log_loss": loss}


@pytest.mark.parametrize("best", MODELS)
def test_best_model_has_the_highest_accuracy_on_val(best):
    scores = {model: scores_on_val(0.9 if model == best else 0.8, 0.5) for model in MODELS}
    assert best_on_val(scores) == best


def test_of_models_with_the_same_accuracy_on_val_the_one_with_the_lower_loss_is_best():
    scores = dict.fromkeys(MODELS, scores_on_val(0.9, 0.5))
    scores |= {"transfer_plain": scores_on_val(0.9, 0.4), "finetune": scores_on_val(0.8, 0.1)}
    assert best_on_val(scores) == "transfer_plain"


WEIGHTS = "data/weights/VGG16-bundled.weights.h5"
IMAGENET = "data/weights/ResNet50V2-imagenet.weights.h5"
OWN = ["beagle (1).jpg"] * 30
SUPPORT = {"Beagle": 30}


@pytest.mark.parametrize(
    ("photos", "support", "source", "weights", "expected"),
    [
        (OWN, SUPPORT, "photos", IMAGENET, []),
        (OWN, SUPPORT, "data/sample", "w.weights.h5", ["These are drawn pictures"]),
        (OWN, SUPPORT, "./data/../data/sample", "w.weights.h5", ["These are drawn pictures"]),
        (["n02085620_1.jpg", *OWN[1:]], SUPPORT, "dogs", IMAGENET, ["These photos are ImageNet's, and so are the"]),
        (OWN, SUPPORT, "data/stanford_dogs", IMAGENET, ["These photos are ImageNet's, and so are the"]),
        (OWN, SUPPORT, "data/stanford_dogs", "w.weights.h5", ["These photos are ImageNet's, and if the"]),
        (OWN, SUPPORT, "dogs", WEIGHTS, ["The backbone's weights are the bundled ones"]),
        (OWN, {"Akita": 10, "Beagle": 20}, "dogs", "w.weights.h5", ["Fewer than 20 test photos"]),
        (
            ["n02085620_1.jpg"],
            {"Akita": 1},
            "dogs",
            WEIGHTS,
            ["These photos are ImageNet's, and so are the", "The backbone's weights are the bundled", "Fewer than 20"],
        ),
    ],
)
def test_reader_is_warned_of_what_makes_numbers_mean_less(photos, support, source, weights, expected):
    found = find_caveats(photos, support, source, weights)
    assert [caveat[: len(start)] for caveat, start in zip(found, expected, strict=True)] == expected


def test_warning_names_the_breeds_with_few_photos_or_none_and_no_other():
    (caveat,) = find_caveats(OWN, {"Akita": 10, "Beagle": 20, "Corgi": 0}, "dogs", "w.weights.h5")
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


def judged(right: dict[str, str]) -> tuple[dict, pd.DataFrame]:
    """Comparisons of models by their answers, such as "110": right, right, wrong."""
    answers = {model: np.array([answer == "1" for answer in found]) for model, found in right.items()}
    scores = dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"), 0.5)
    return scores, compare_models(answers, 0.95)


def test_the_answer_in_a_sentence_says_what_the_best_beats_and_what_it_cannot_be_told_apart_from():
    scores, comparisons = judged({"a": "0" * 40, "b": "1" * 40, "c": "1" * 40, "d": "1" * 30 + "0" * 10})
    sentence = answer_in_a_sentence("b", scores, comparisons, "40 test photos", 0.95)
    assert sentence == (
        "b, chosen on val, is right on 50.0 % of the 40 test photos (95 % interval: 50.0 % to 50.0 %); "
        "it beats a and d and can't be told apart from c."
    )
    assert "is beaten by b and c and d" in answer_in_a_sentence("a", scores, comparisons, "", 0.95)


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


def test_every_committed_number_of_the_sample_comes_from_drawn_pictures_that_are_hard_enough(root):
    scores = json.loads((root / "metrics/evaluate.json").read_text())
    if not scores["drawn"]:
        pytest.skip("metrics/ is of other pictures than the drawn ones")
    accuracies = {model: scores[model]["accuracy"] for model in MODELS}
    assert max(accuracies.values()) < 1
    assert accuracies["scratch_plain"] < accuracies["finetune"] - 0.1
    predictions = [pd.read_csv(root / f"plots/predictions/{model}.csv")["predicted"].tolist() for model in MODELS]
    assert len(set(map(tuple, predictions))) == len(MODELS), "five models that answer differently"
