"""The five models, and the two variants, without and with augmentation, that four of them come in."""

import argparse
from collections.abc import Iterable

VARIANTS = ("plain", "augmented")
FAMILIES = {  # models that have a network in common, and are asked together
    "scratch": ("scratch_plain", "scratch_augmented"),
    "pretrained": ("transfer_plain", "transfer_augmented", "finetune"),
}
MODELS = tuple(model for family in FAMILIES.values() for model in family)


def parse_choice(description: str, name: str, choices: Iterable[str]) -> str:
    """Read from the command line which variant or family a stage shall run for; ``name`` is what it is called there."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(name, choices=tuple(choices))
    return getattr(parser.parse_args(), name)
