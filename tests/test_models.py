"""What the models are called, and which pairs of them are compared."""

import sys
from itertools import combinations

import pytest
from tiny_pipeline import list_models

from stages.lib.core.models import (
    QUESTIONS,
    finetune_model,
    list_families,
    list_scorers,
    parse_choices,
    plan_comparisons,
    transfer_model,
)

COUNTS = (1, 2, 6)  # of backbones


def names_of(count):
    return [f"network-{number}" for number in range(count)]


def test_models_are_named_after_their_backbone():
    assert list_families(["VGG16", "Lite-2"]) == {
        "scratch": ("scratch_plain", "scratch_augmented"),
        "VGG16": ("VGG16_transfer_plain", "VGG16_transfer_augmented", "VGG16_finetune"),
        "Lite-2": ("Lite-2_transfer_plain", "Lite-2_transfer_augmented", "Lite-2_finetune"),
    }
    assert transfer_model("VGG16", "plain") == "VGG16_transfer_plain"
    assert finetune_model("VGG16") == "VGG16_finetune"


def test_how_familiar_a_photo_is_tells_each_cnn_for_itself_and_one_model_for_all_on_a_backbone():
    assert list_scorers(list_families(["VGG16", "Lite-2"])) == {
        "scratch_plain": "scratch_plain",
        "scratch_augmented": "scratch_augmented",
        "VGG16": "VGG16_transfer_plain",
        "Lite-2": "Lite-2_transfer_plain",
    }


@pytest.mark.parametrize("count", COUNTS)
def test_there_are_two_models_and_three_more_for_each_backbone(count):
    names = list_models(names_of(count))
    assert len(set(names)) == len(names) == 2 + 3 * count


@pytest.mark.parametrize("count", COUNTS)
def test_no_pair_is_compared_twice_and_their_number_grows_with_that_of_the_models(count):
    families, names = list_families(names_of(count)), list_models(names_of(count))
    for best in names:
        pairs = [frozenset(pair) for _, *pair in plan_comparisons(families, best)]
        assert len(set(pairs)) == len(pairs)
        assert {frozenset((best, other)) for other in names if other != best} <= set(pairs)
        assert set(pairs) <= {frozenset(pair) for pair in combinations(names, 2)}
        # two questions a backbone, one of the networks from scratch, and the best one against what is left
        assert len(pairs) <= (2 * count + 1) + (len(names) - 1)


def test_each_pair_answers_one_question_and_what_came_first_stands_first():
    families = list_families(["A", "B"])
    assert plan_comparisons(families, "B_finetune") == [
        ("augmentation", "scratch_plain", "scratch_augmented"),
        ("augmentation", "A_transfer_plain", "A_transfer_augmented"),
        ("augmentation", "B_transfer_plain", "B_transfer_augmented"),
        ("finetuning", "A_transfer_augmented", "A_finetune"),
        ("finetuning", "B_transfer_augmented", "B_finetune"),
        ("best", "B_finetune", "scratch_plain"),
        ("best", "B_finetune", "scratch_augmented"),
        ("best", "B_finetune", "A_transfer_plain"),
        ("best", "B_finetune", "A_transfer_augmented"),
        ("best", "B_finetune", "A_finetune"),
        ("best", "B_finetune", "B_transfer_plain"),
    ]


@pytest.mark.parametrize("best", ["scratch_plain", "A_finetune"])
def test_all_questions_are_asked_whichever_model_is_best(best):
    assert {question for question, *_ in plan_comparisons(list_families(["A"]), best)} == set(QUESTIONS)


# What a stage is to run for


@pytest.fixture
def chosen(monkeypatch):
    """What `parse_choices` gives for these arguments, of two backbones and two variants."""

    def parse(*arguments):
        monkeypatch.setattr(sys, "argv", ["stage", *arguments])
        return parse_choices("Do it.", backbone={"A": 1, "B": 2}, variant=("plain", "augmented"))

    return parse


def test_choices_are_read_in_their_order(chosen):
    assert chosen("B", "plain") == ["B", "plain"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["C", "plain"], "argument backbone: invalid choice: 'C' (choose from "),
        (["A"], "the following arguments are required: variant"),
        (["A", "plain", "more"], "unrecognized arguments: more"),
    ],
)
def test_what_is_no_choice_is_told_with_those_that_there_are(chosen, capsys, arguments, complaint):
    with pytest.raises(SystemExit) as ended:
        chosen(*arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
