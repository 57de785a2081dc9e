"""Whether an exported network answers as Keras' does."""

from typing import NamedTuple

import numpy as np

from stages.lib.evaluation.selective import is_sure


class Parity(NamedTuple):
    """How an exported model's answers compare with Keras'."""

    largest_difference: float  # of a probability
    equal_answers: float  # share of the photos with the same breed, and as sure of it
    differing: np.ndarray  # the places of the photos whose answers differ and were no tie


def compare(expected: np.ndarray, found: np.ndarray, threshold: float | None, tie: float) -> Parity:
    """Hold an exported model's probabilities against Keras', both (photos, breeds).

    An answer is the breed with the highest probability, and whether that reaches ``threshold``. It was a tie where
    Keras' own probabilities of the two breeds, or its confidence and the threshold, are no further apart than ``tie``.
    """
    photos = np.arange(len(expected))
    answer, other = expected.argmax(axis=1), found.argmax(axis=1)
    confidence = expected.max(axis=1)
    another_breed = answer != other
    otherwise_sure = is_sure(confidence, threshold) != is_sure(found.max(axis=1), threshold)
    differs = another_breed & (confidence - expected[photos, other] > tie) | ~np.isfinite(found).all(axis=1)
    if threshold is not None:
        differs |= otherwise_sure & (np.abs(confidence - threshold) > tie)
    return Parity(
        float(np.abs(expected - found).max()),
        float(1 - (another_breed | otherwise_sure).mean()),
        np.flatnonzero(differs),
    )


def tell_difference(file: str, photo: str, breeds: list[str], expected: np.ndarray, found: np.ndarray) -> str:
    """What the two models say of one photo, in a sentence; their probabilities are (breeds,)."""
    keras_says, it_says = (f"{breeds[each.argmax()]} ({each.max():.4f})" for each in (expected, found))
    return f"{file} answers {it_says} for {photo}, where Keras answers {keras_says}"
