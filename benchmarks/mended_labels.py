"""Labels swapped on purpose, then mended: what that is worth to the default model.

    OMP_NUM_THREADS=1 python -m benchmarks.mended_labels PHOTOS [--breeds COUNT] [--features FOLDER]

The draws are those of `benchmarks.labels`, whose options these are. The model is the head that `transfer` trains on
EfficientNet-Lite2's features without views, by params.yaml and in its precision; val, which steers it, is as dirty as
train. Mended is what `label_errors` lists, once: moved to its suggestion blindly, or decided right, by a person who
makes no mistake. Test is as it came; its accuracies choose nothing. 57 heads, 5 minutes of the processor.
"""

import numpy as np
import pandas as pd
from tqdm import tqdm

from benchmarks.labelled_features import options, read
from benchmarks.labels import Draw, draws
from stages.lib.core.params import Training, load_params
from stages.lib.evaluation.comparisons import only_one_right
from stages.lib.networks.precision import set_precision
from stages.lib.probes.label_errors import out_of_fold_probabilities
from stages.lib.training.heads import predict, train_head

CASES = ("dirty", "moved blindly", "decided right", "clean")
GAINS = (("moved blindly", "dirty"), ("decided right", "dirty"), ("clean", "decided right"))


def mend(draw: Draw, seed: int) -> dict[str, np.ndarray]:
    """Labels of train and val in each of `CASES`: int (photos,)."""
    probabilities = out_of_fold_probabilities(draw.features, draw.given, draw.groups, seed)
    suggested = probabilities.argmax(axis=1)  # another breed than is given, where `find_suspicious` lists the photo
    decided = np.where(suggested != draw.given, draw.right, draw.given)
    return dict(zip(CASES, (draw.given, suggested, decided, draw.right), strict=True))


def rightly_named(draw: Draw, labels: np.ndarray, settings: Training, seed: int) -> np.ndarray:
    """Which test photos a head names rightly that learned these ``labels``, and by which its val steered: bool (n,)."""
    train, val, classes = ~draw.val, draw.val, int(draw.right.max()) + 1
    known = draw.features[train], labels[train], draw.features[val], labels[val]
    head = train_head(*known, classes, settings.for_photos(int(train.sum())), seed, "transfer in mended_labels")
    return predict(head, draw.test_features).argmax(axis=1) == draw.test_labels


def accuracies(scored: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation of the draws' accuracies, by how the labels were swapped.

    ``scored`` has a row a draw: ``to``, ``share``, and of each of `CASES` bool (test photos,).
    """
    table = scored[["to", "share"]].join(scored[[*CASES]].map(np.mean))
    return table.groupby(["to", "share"], sort=False).agg(["mean", "std"])


def gains(scored: pd.DataFrame) -> pd.DataFrame:
    """What one case gains over another, by how the labels were swapped; see `accuracies`.

    Mean and standard deviation of the draws; on how many test photos of all draws only one of both is right, and
    McNemar's p of these.
    """
    rows = []
    for (to, share), of_kind in scored.groupby(["to", "share"], sort=False):
        for better, worse in GAINS:
            gain = of_kind[better].map(np.mean) - of_kind[worse].map(np.mean)
            counts = only_one_right(*(np.concatenate([*of_kind[case]]) for case in (better, worse)))
            rows.append((to, share, f"{better} - {worse}", gain.mean(), gain.std(), *counts))
    return pd.DataFrame(rows, columns=["to", "share", "gain", "mean", "std", "only first", "only second", "p"])


def main() -> None:
    """Print each draw's accuracies as soon as they are there, then the tables."""
    arguments = options("mended_labels", __doc__).parse_args()
    params = load_params()
    photos = read(arguments.photos, arguments.breeds, params.data.duplicate_distance, arguments.features)
    set_precision(params.precision)  # after the features, which are in float32
    rows = []
    clean: dict[int, np.ndarray] = {}  # by seed, as it is the same whatever was swapped
    for (to, share, seed), draw in tqdm(draws(photos), mininterval=10):
        labels = mend(draw, seed)
        if seed not in clean:
            clean[seed] = rightly_named(draw, labels["clean"], params.transfer, seed)
        right = {case: rightly_named(draw, labels[case], params.transfer, seed) for case in CASES[:-1]}
        right["clean"] = clean[seed]
        rows.append({"to": to, "share": share, **right})
        told = {case: f"{right[case].mean():.4f}, {(labels[case] != draw.right).sum()} wrong" for case in CASES}
        print(to, share, seed, told, flush=True)
    scored = pd.DataFrame(rows)
    with pd.option_context("display.width", 200):
        print(accuracies(scored).round(4).to_string())
        print(gains(scored).round(4).to_string())


if __name__ == "__main__":
    main()
