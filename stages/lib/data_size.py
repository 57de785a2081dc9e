"""What more training photos are worth: half of them against all of them, tested and put into words."""

from typing import Any

import numpy as np
from scipy.stats import permutation_test
from statsmodels.stats.multitest import multipletests

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of each breed's training photos
REPEATS = 3  # draws of photos and trainings, for a spread
RESAMPLES = 9999  # of signs, in the test
TOGETHER = 200  # resamples that are held in memory
SMALLEST_P = 2 / (1 + RESAMPLES)  # that the two-sided test can give where it draws


def p_of_gain(gains: np.ndarray, seed: int) -> float:
    """The p value of a mean gain that is not 0, two-sided, by flipping the signs of the photos' gains.

    Fisher's randomisation test for pairs (The design of experiments, 1935, section 21). Where each gain is -1, 0 or 1,
    this is McNemar's test; here they are means of several trainings. Exact for up to 13 photos, else by drawing
    `RESAMPLES` times.

    Args:
        gains: (photos,) in [-1, 1]: the share of trainings that got the photo right with more training photos, less
            that with fewer.
        seed: of the draws.
    """
    if len(gains) < 2:
        return 1.0
    test = permutation_test(
        (gains,), np.mean, permutation_type="samples", n_resamples=RESAMPLES, batch=TOGETHER, rng=seed
    )
    return float(test.pvalue)


def compare_sizes(
    right: np.ndarray, labels: np.ndarray, breeds: list[str], photos: list[int], seed: int
) -> dict[str, Any]:
    """Accuracy at each of `SHARES`, and what all photos gain over half of them, in accuracy and in each breed's recall.

    A breed's gain is that of all breeds' photos together: what its own do alone is not measured.

    Args:
        right: bool (repeats, `SHARES`, val photos): whether a head is right about a photo.
        labels: int (val photos,), places in ``breeds``.
        breeds: their names.
        photos: how many photos were trained on at each of `SHARES`.
        seed: of the test.

    Returns:
        ``val_photos``; ``sizes``, for each of `SHARES` ``photos``, mean ``accuracy`` and its standard deviation
        ``accuracy_sd`` over the repeats; ``gain`` (-1 to 1, higher is better) of all over half with its ``p``; and for
        each breed in ``breeds`` its ``val_photos``, ``gain`` of recall, and ``p_holm``, corrected for the number of
        breeds after Holm. Breeds without a photo in val are left out.
    """
    accuracy = right.mean(axis=2)
    sizes = [
        {"photos": count, "accuracy": round(float(mean), 6), "accuracy_sd": round(float(spread), 6)}
        for count, mean, spread in zip(photos, accuracy.mean(axis=0), accuracy.std(axis=0, ddof=1), strict=True)
    ]
    gains = right[:, -1].mean(axis=0) - right[:, -2].mean(axis=0)
    of_breeds = {breed: gains[labels == label] for label, breed in enumerate(breeds) if (labels == label).any()}
    corrected = multipletests([p_of_gain(each, seed) for each in of_breeds.values()], method="holm")[1]
    return {
        "val_photos": len(labels),
        "sizes": sizes,
        "gain": round(float(gains.mean()), 6),
        "p": round(p_of_gain(gains, seed), 6),
        "breeds": {
            breed: {"val_photos": len(each), "gain": round(float(each.mean()), 6), "p_holm": round(float(p), 6)}
            for (breed, each), p in zip(of_breeds.items(), corrected, strict=True)
        },
    }


def _p_in_words(p: float) -> str:
    return f"p = {p:.2g}" if p > SMALLEST_P else f"p ≤ {SMALLEST_P:g}"


def _points(gain: float) -> str:
    return f"{100 * abs(gain):.1f} points"


def in_words(found: dict[str, Any], confidence_level: float) -> str:
    """Say whether more photos would help, and of which breed.

    ``found`` is what `compare_sizes` gives; what has a p value below 1 - ``confidence_level`` counts as told.
    """
    half, everything = found["sizes"][-2:]
    before, after = (f"{100 * size['accuracy']:.1f} %" for size in (half, everything))
    subject = f"from half of the training photos to all of them ({half['photos']} to {everything['photos']}), accuracy"
    subject += f" on the {found['val_photos']} photos of val"
    told = found["p"] < 1 - confidence_level
    p = _p_in_words(found["p"])
    if not told:
        answer = f"No difference that could be told: {subject} went from {before} to {after} ({p})."
    elif found["gain"] > 0:
        answer = (
            f"More photos would probably help: {subject} rose by {_points(found['gain'])}, from {before} to {after}"
        )
        answer += f" ({p})."
    else:
        answer = f"More photos like these would hardly help: {subject} fell by {_points(found['gain'])}, from {before}"
        answer += f" to {after} ({p})."
    return f"{answer} {_breed_in_words(found['breeds'], confidence_level)}"


def _breed_in_words(breeds: dict[str, Any], confidence_level: float) -> str:
    risen = {breed: row for breed, row in breeds.items() if row["gain"] > 0}
    told = {breed: row for breed, row in risen.items() if row["p_holm"] < 1 - confidence_level}
    if not risen:
        return "No breed's recall rose."
    candidates = told or risen
    most = max(candidates, key=lambda breed: candidates[breed]["gain"])
    gain, count, p = _points(risen[most]["gain"]), risen[most]["val_photos"], _p_in_words(risen[most]["p_holm"])
    if told:
        return f"Most for {most}: its recall rose by {gain} ({p})."
    photos = "photo" if count == 1 else "photos"
    return (
        f"Which breed gains most can't be told: the largest rise of a recall is that of {most}, by {gain} on {count} "
        f"{photos}, and may be luck ({p})."
    )
