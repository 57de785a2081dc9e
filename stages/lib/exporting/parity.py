"""Whether an exported network answers as Keras' does."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.evaluation.selective import is_sure
from stages.lib.familiarity.conformal import is_unknown

Outputs = Mapping[str, np.ndarray]  # what `with_familiarity` gives of all photos


class Parity(NamedTuple):
    """How an exported model's answers compare with Keras'."""

    largest_difference: float  # of a probability
    largest_difference_of_familiarity: float
    equal_answers: float  # share of the photos with the same breed, as sure of it, and known or unknown in both
    differing: np.ndarray  # the places of the photos whose answers differ and were no tie


def compare(
    expected: Outputs, found: Outputs, threshold: float | None, familiarity_threshold: float | None, tie: float
) -> Parity:
    """Hold what an exported model gives against what Keras does.

    An answer is the breed with the highest probability, whether that reaches ``threshold``, and whether familiarity
    reaches ``familiarity_threshold``. It was a tie where Keras' own probabilities of the two breeds, or its confidence
    or familiarity and the threshold, are no further apart than ``tie``.
    """
    of_keras, of_other = expected[PROBABILITIES], found[PROBABILITIES]
    photos, answer, other = np.arange(len(of_keras)), of_keras.argmax(axis=1), of_other.argmax(axis=1)
    confidence, familiarity = of_keras.max(axis=1), expected[FAMILIARITY]
    another_breed = answer != other
    otherwise_sure = is_sure(confidence, threshold) != is_sure(of_other.max(axis=1), threshold)
    otherwise_known = is_unknown(familiarity, familiarity_threshold) != is_unknown(
        found[FAMILIARITY], familiarity_threshold
    )
    differs = another_breed & (confidence - of_keras[photos, other] > tie)
    differs |= ~np.isfinite(of_other).all(axis=1) | ~np.isfinite(found[FAMILIARITY])
    if threshold is not None:
        differs |= otherwise_sure & (np.abs(confidence - threshold) > tie)
    if familiarity_threshold is not None:
        differs |= otherwise_known & (np.abs(familiarity - familiarity_threshold) > tie)
    return Parity(
        float(np.abs(of_keras - of_other).max()),
        float(np.abs(familiarity - found[FAMILIARITY]).max()),
        float(1 - (another_breed | otherwise_sure | otherwise_known).mean()),
        np.flatnonzero(differs),
    )


def tell_difference(
    file: str, photos: list[str], breeds: list[str], expected: Outputs, found: Outputs, place: int
) -> str:
    """What the two models say of the photo at ``place``, in a sentence."""

    def tell(answers: Outputs) -> str:
        probabilities, familiarity = answers[PROBABILITIES][place], answers[FAMILIARITY][place]
        return f"{breeds[probabilities.argmax()]} ({probabilities.max():.4f}, familiarity {familiarity:.4f})"

    return f"{file} answers {tell(found)} for {photos[place]}, where Keras answers {tell(expected)}"
