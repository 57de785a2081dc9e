"""What more training photos are worth: half of them against all of them, tested and put into words."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import permutation_test
from statsmodels.stats.multitest import multipletests

from stages.lib.core.prose import render_line, templates

RESAMPLES = 9999  # of signs, in the test
TOGETHER = 200  # resamples that are held in memory
SMALLEST_P = 2 / (1 + RESAMPLES)  # that the two-sided test can give where it draws
ANSWER = templates(Path(__file__).parent / "templates", autoescape=False).get_template("data_size.jinja")


def p_of_gain(gains: np.ndarray, seed: int) -> float:
    """The p value of a mean gain that is not 0, two-sided, by flipping the signs of the photos' gains.

    Fisher's randomisation test for pairs (The design of experiments, 1935, section 21). Where each gain is -1, 0 or 1,
    this is McNemar's test; here they are means over several draws. Exact for up to 13 photos, else by drawing
    `RESAMPLES` times.

    Args:
        gains: (photos,) in [-1, 1]: the share of draws whose probe got the photo right with more training photos, less
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
    """Accuracy at each number of photos, and what all gain over half of them, in accuracy and in each breed's recall.

    A breed's gain is that of all breeds' photos together: what its own do alone is not measured.

    Args:
        right: bool (repeats, sizes, val photos): whether a probe is right about a photo; the last two sizes are half of
            the training photos and all.
        labels: int (val photos,), places in ``breeds``.
        breeds: their names.
        photos: how many photos were trained on, for each size.
        seed: of the test.

    Returns:
        ``val_photos``; ``sizes``, for each of them ``photos``, mean ``accuracy`` and its standard deviation
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


def in_words(found: dict[str, Any], confidence_level: float) -> str:
    """Say whether more photos would help, and of which breed.

    ``found`` is what `compare_sizes` gives; what has a p value below 1 - ``confidence_level`` counts as told.
    """
    half, everything = found["sizes"][-2:]
    risen = {breed: row for breed, row in found["breeds"].items() if row["gain"] > 0}
    told = {breed: row for breed, row in risen.items() if row["p_holm"] < 1 - confidence_level}
    most = max(told or risen, key=lambda breed: risen[breed]["gain"], default=None)
    return render_line(
        ANSWER,
        half=half,
        all=everything,
        **{name: found[name] for name in ("val_photos", "gain", "p")},
        most=most,
        breed=risen.get(most),
        level=confidence_level,
        smallest_p=SMALLEST_P,
    )
