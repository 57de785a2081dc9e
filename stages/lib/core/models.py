"""The models: what they are called, which have a network in common, and which pairs are compared."""

import argparse
import re
from collections.abc import Iterable, Mapping

VARIANTS = ("plain", "augmented")
SCRATCH_FAMILY = "scratch"
NAME = re.compile(r"\w[\w-]*", re.ASCII)  # of a backbone: a part of the names of files and stages
QUESTIONS = ("augmentation", "finetuning", "best")  # that pairs of models answer


def list_families(backbones: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The models by the network that they have in common: those from scratch, then those on each backbone."""
    families = {SCRATCH_FAMILY: tuple(f"scratch_{variant}" for variant in VARIANTS)}
    for name in backbones:
        families[name] = (*(transfer_model(name, variant) for variant in VARIANTS), finetune_model(name))
    return families


def transfer_model(backbone: str, variant: str) -> str:
    """The name of the model with a new head on a frozen backbone."""
    return f"{backbone}_transfer_{variant}"


def finetune_model(backbone: str) -> str:
    """The name of the model whose backbone was trained on."""
    return f"{backbone}_finetune"


def find_backbone(model: str | None, families: Mapping[str, tuple[str, ...]]) -> str | None:
    """The backbone that ``model`` is on; None for one from scratch, or of none of ``families``."""
    return next((name for name, models in families.items() if model in models and name != SCRATCH_FAMILY), None)


def list_scorers(families: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """What tells how familiar photos are, and for each a model that has it: each CNN from scratch, and each backbone.

    The models on a backbone have the same familiarity, as it is that of the frozen network.
    """
    scratch = {model: model for model in families[SCRATCH_FAMILY]}
    return scratch | {name: models[0] for name, models in families.items() if name != SCRATCH_FAMILY}


def plan_comparisons(families: Mapping[str, tuple[str, ...]], best: str) -> list[tuple[str, str, str]]:
    """The pairs of models that are worth a test, as (question, first, second), none twice.

    In each family what augmentation did, and what fine-tuning did to the head that it started from; then ``best``
    against each other model.
    """
    pairs = [("augmentation", plain, augmented) for plain, augmented, *_ in families.values()]
    pairs += [("finetuning", start, tuned) for _, start, *others in families.values() for tuned in others]
    models = [model for family in families.values() for model in family]
    seen = {frozenset(pair) for _, *pair in pairs}
    return pairs + [("best", best, other) for other in models if other != best and frozenset((best, other)) not in seen]


def parse_choices(description: str, **choices: Iterable[str]) -> list[str]:
    """Read from the command line what a stage shall run for: for each name one of its choices, in their order."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, allowed in choices.items():
        parser.add_argument(name, choices=tuple(allowed))
    return list(vars(parser.parse_args()).values())
