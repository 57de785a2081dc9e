"""What more training photos are worth: half of them against all of them, and of which breeds, tested and in words."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import permutation_test

from stages.lib.core.prose import render_line, templates

RESAMPLES = 9999  # of signs, in the test
TOGETHER = 200  # resamples that are held in memory
SMALLEST_P = 2 / (1 + RESAMPLES)  # that the two-sided test can give where it draws
UNEVEN = 2  # times as many photos of one breed as of another, from which on it matters of which there are more
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


def compare_sizes(right: np.ndarray, photos: list[int], seed: int) -> dict[str, Any]:
    """Accuracy at each number of photos, and what all gain over half of them.

    Args:
        right: bool (repeats, sizes, val photos): whether a probe is right about a photo; the last two sizes are half of
            the training photos and all.
        photos: how many photos were trained on, for each size.
        seed: of the test.

    Returns:
        ``val_photos``; ``sizes``, for each of them ``photos``, mean ``accuracy`` and its standard deviation
        ``accuracy_sd`` over the repeats; ``gain`` (-1 to 1, higher is better) of all over half with its ``p``.
    """
    accuracy = right.mean(axis=2)
    sizes = [
        {"photos": count, "accuracy": round(float(mean), 6), "accuracy_sd": round(float(spread), 6)}
        for count, mean, spread in zip(photos, accuracy.mean(axis=0), accuracy.std(axis=0, ddof=1), strict=True)
    ]
    gains = right[:, -1].mean(axis=0) - right[:, -2].mean(axis=0)
    return {
        "val_photos": right.shape[2],
        "sizes": sizes,
        "gain": round(float(gains.mean()), 6),
        "p": round(p_of_gain(gains, seed), 6),
    }


def rank_breeds(losses: pd.DataFrame) -> pd.DataFrame:
    """The breeds, those first of which a photo more would most likely help most.

    Where a breed's log loss falls with a power of its photos' number n (Hestness et al., arXiv:1712.00409), one photo
    more takes off a share of the loss that goes as 1 / n. docs/results.md has what this ranking gains, and others.

    Args:
        losses: one row a photo of train and val: breed and log_loss (nats, out of fold).

    Returns:
        breed; photos, 2 or more; log_loss, the mean of theirs; standard_error of that mean; loss_per_photo, log_loss by
        photos, which ranks, the highest first.
    """
    of_breeds = losses.groupby("breed")["log_loss"]
    table = of_breeds.agg(photos="count", log_loss="mean", standard_error="sem").reset_index()
    table["loss_per_photo"] = table["log_loss"] / table["photos"]
    return table.sort_values(["loss_per_photo", "breed"], ascending=[False, True], kind="stable").reset_index(drop=True)


def in_words(found: dict[str, Any], ranked: pd.DataFrame, confidence_level: float) -> str:
    """Say whether more photos would help, and of which breed to begin with.

    ``found`` is metrics/data_size.json, ``ranked`` what `rank_breeds` gives; what has a p value below 1 -
    ``confidence_level`` counts as told.
    """
    half, everything = found["sizes"][-2:]
    return render_line(
        ANSWER,
        half=half,
        all=everything,
        **{name: found[name] for name in ("val_photos", "gain", "p")},
        first=ranked["breed"].iloc[0],
        even=ranked["photos"].max() < UNEVEN * ranked["photos"].min(),
        level=confidence_level,
        smallest_p=SMALLEST_P,
    )
