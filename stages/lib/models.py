"""The five models, and the two variants, without and with augmentation, that four of them come in."""

import argparse

VARIANTS = ("plain", "augmented")
MODELS = ("scratch_plain", "scratch_augmented", "transfer_plain", "transfer_augmented", "finetune")


def parse_variant(description: str) -> str:
    """Read from the command line which variant a stage shall run for."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variant", choices=VARIANTS)
    return parser.parse_args().variant
