"""Look for better settings than those of params.yaml, by cross-validation on train and val together, never on test.

Reads   data/features/<variant>, and which picture is which from data/prepared/{train,val}, data/prepared/manifest.csv
        and data/augmented/<variant>
Makes   tuning/transfer_<variant>.csv or the file that --csv names, a row a trial; tuning/optuna.db, from which the same
        command goes on where it was stopped
Run     python -m stages.tune transfer [--trials 40] [--folds 5] [--variant plain] [--timeout SECONDS] [--csv FILE]
Cost    5 s of a processor a training; 21 trials of 5 folds were 84 trainings, as 7 trials were given up

Photos that are near duplicates are in one fold, and views are trained on where their photo is and never scored. Each
fold is scored once by a head that has not seen it: one of the other folds steers its training, as val does in the
pipeline, and the rest train it. The first trial is what params.yaml says. Optuna's TPE suggests the others (Bergstra et
al., Algorithms for hyper-parameter optimization, NeurIPS 2011), and one whose log loss is above the median of those
before, after as many folds, is given up.

The best of many trials is partly luck. So at the end it is trained once more beside the defaults, on other folds.
"""

import argparse
import hashlib
import importlib.metadata
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import optuna
import pandas as pd
import sqlalchemy
from optuna.trial import FrozenTrial, Trial, TrialState
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold
from tqdm import tqdm

from stages.lib import classifiers, datasets, feature_rows, heads, paths, training
from stages.lib.errors import UserError, run
from stages.lib.outputs import whole_file
from stages.lib.params import Params, Transfer, load_params
from stages.lib.precision import set_precision

TUNING = Path("tuning")
PACKAGES = ("tensorflow", "keras", "numpy", "optuna", "scikit-learn")  # another version may give other trials
SHOWN = 10  # trials


class Range(NamedTuple):
    """Between which values to look for a setting, and whether by its logarithm."""

    low: float
    high: float
    log: bool = False


SPACE = {
    "dense_units": Range(64, 2048, log=True),
    "dropout": Range(0.0, 0.8),
    "learning_rate": Range(1e-4, 1e-2, log=True),
    "weight_decay": Range(0.0, 0.5),
    "label_smoothing": Range(0.0, 0.2),
    "steps": Range(200, 1000),
}


class Pictures(NamedTuple):
    """Photos of train and val, and the views of those of train."""

    features: np.ndarray  # float32 (pictures, channels)
    labels: np.ndarray  # int (pictures,)
    photos: np.ndarray  # int (pictures,) in [0, number of photos): which photo a picture is, or is a view of
    views: np.ndarray  # bool (pictures,): whether it is a view
    groups: np.ndarray  # int (photos,), equal for near duplicates


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.tune", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", choices=("transfer", "finetune", "train_scratch"), help="so far transfer alone")
    parser.add_argument("--trials", type=int, default=40, help="how many in all, those of earlier runs included (40)")
    parser.add_argument("--folds", type=int, default=5, help="3 or more (5)")
    parser.add_argument("--repeats", type=int, default=3, help="other foldings to try the best one on, or 0 (3)")
    parser.add_argument("--variant", choices=("plain", "augmented"), default="augmented", help="(augmented)")
    parser.add_argument("--timeout", type=float, metavar="SECONDS", help="begin no trial after that long")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="where to write the trials")
    arguments = parser.parse_args()
    for name, least in (("trials", 1), ("folds", 3), ("repeats", 0)):
        if getattr(arguments, name) < least:
            parser.error(f"--{name} must be {least} or more. Received: {getattr(arguments, name)}")
    if arguments.csv is None:
        arguments.csv = TUNING / f"transfer_{arguments.variant}.csv"
    return arguments


def read_pictures(variant: str) -> Pictures:
    """Read the features of ``variant``, and of each row which photo it shows.

    Raises `UserError` where something is missing, or features, photos and views do not belong together.
    """
    manifest_file = paths.PREPARED / "manifest.csv"
    feature_rows.require(paths.FEATURES / variant, manifest_file)
    train, val = (feature_rows.read_rows(variant, split) for split in ("train", "val"))
    manifest = pd.read_csv(manifest_file, dtype=str, keep_default_na=False).query("split in ('train', 'val')")
    names = (manifest["split"] + "/" + manifest["file"] + ".png").tolist()
    shown = train.photos + val.photos
    if set(shown) != set(names):
        raise feature_rows.not_alike(variant)
    return Pictures(
        np.concatenate([train.features[:], val.features[:]]),
        datasets.encode(train.breeds + val.breeds, sorted(set(train.breeds))),
        datasets.encode(shown, names),
        np.concatenate([train.views, val.views]),
        manifest["group"].to_numpy(int),
    )


def assign_folds(pictures: Pictures, folds: int, seed: int) -> np.ndarray:
    """The fold of each picture, int (pictures,): stratified by breed, near duplicates and views with their photo.

    Raises `UserError` where a breed has too few photos for so many folds.
    """
    labels = np.empty(len(pictures.groups), int)
    labels[pictures.photos] = pictures.labels
    fewest = min(len(set(pictures.groups[labels == label])) for label in set(labels))
    if fewest < folds:
        raise UserError(
            f"--folds must be at most {fewest}, as one breed has no more photos in train and val, near duplicates "
            f"counted once. Received: {folds}"
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    fold = np.empty(len(labels), int)
    for number, (_, scored) in enumerate(splitter.split(labels, labels, pictures.groups)):
        fold[scored] = number
    return fold[pictures.photos]


def split_folds(pictures: Pictures, fold: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each fold, which pictures train, steer (the next fold's photos) and are scored (this fold's): indices."""
    folds = fold.max() + 1
    for number in range(folds):
        steer, score = (fold == (number + 1) % folds), (fold == number)
        yield tuple(
            np.flatnonzero(rows) for rows in (~steer & ~score, steer & ~pictures.views, score & ~pictures.views)
        )


def cross_validate(
    pictures: Pictures, fold: np.ndarray, settings: Transfer, seed: int
) -> Iterator[tuple[float, float]]:
    """Train a head for each fold; give, one after the other, its log loss (nats) and accuracy on the fold's photos.

    Raises `UserError` where a training diverges.
    """
    features, labels, classes = pictures.features, pictures.labels, int(pictures.labels.max()) + 1
    for train, steer, score in split_folds(pictures, fold):
        head = heads.train_head(
            features[train],
            labels[train],
            features[steer],
            labels[steer],
            classes,
            settings,
            seed,
            "transfer in tune",
        )
        probabilities = heads.predict(head, features[score])
        right = probabilities.argmax(axis=1) == labels[score]
        yield log_loss(labels[score], probabilities, labels=range(classes)), right.mean()


def suggest(trial: Trial, defaults: Transfer) -> Transfer:
    """The settings of a trial: of the first the defaults, of the others the suggestion, in two significant digits."""
    values = {}
    for name, (low, high, log) in SPACE.items():
        current = getattr(defaults, name)
        whole = isinstance(low, int)
        pick = trial.suggest_int if whole else trial.suggest_float
        value = pick(name, min(low, current), max(high, current), log=log)
        values[name] = value if whole else float(f"{value:.2g}")
    settings = defaults if "defaults" in trial.user_attrs else defaults.model_copy(update=values)
    trial.set_user_attr("settings", {name: getattr(settings, name) for name in SPACE})
    return settings


def name_study(pictures: Pictures, fold: np.ndarray, params: Params, policy: str) -> str:
    """A name that changes with all that the outcome of a trial depends on: trials of one study can be compared."""
    sources = [Path(__file__), *(Path(module.__file__) for module in (classifiers, datasets, heads, training))]
    versions = [importlib.metadata.version(package) for package in PACKAGES]
    content = json.dumps([params.seed, params.transfer.model_dump(), policy, versions])
    digest = hashlib.sha256(content.encode())
    for part in (*pictures, fold):
        digest.update(np.ascontiguousarray(part).data)
    for source in sources:
        digest.update(source.read_bytes())
    return f"transfer-{digest.hexdigest()[:32]}"


def open_study(name: str) -> optuna.Study:
    """The study of this name in tuning/optuna.db, new or as an earlier run left it.

    Raises `UserError` where the file can't be read.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    TUNING.mkdir(exist_ok=True)
    file = TUNING / "optuna.db"
    pruner = optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1)
    try:
        study = optuna.create_study(
            storage=f"sqlite:///{file}", study_name=name, pruner=pruner, load_if_exists=True, direction="minimize"
        )
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError):
        raise UserError(f"{file} is no file of Optuna's: move it away, then trials begin anew.") from None
    for trial in study.get_trials(states=[TrialState.RUNNING]):  # of a run that was ended
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that came to an end, given up or not, in their order."""
    return study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED])


def run_trial(trial: Trial, pictures: Pictures, fold: np.ndarray, params: Params, bar: tqdm) -> float | None:
    """The mean log loss of a trial's settings; None where it is given up."""
    settings = suggest(trial, params.transfer)
    losses, accuracies = [], []
    try:
        for loss, accuracy in cross_validate(pictures, fold, settings, params.seed):
            losses.append(loss)
            accuracies.append(float(accuracy))
            trial.set_user_attr("losses", losses)
            trial.set_user_attr("accuracies", accuracies)
            trial.report(np.mean(losses), step=len(losses) - 1)
            bar.update()
            if len(losses) <= fold.max() and trial.should_prune():
                return None
    except UserError:  # it diverged
        if settings is params.transfer:
            raise
        return None
    return np.mean(losses)


def tune(
    study: optuna.Study, pictures: Pictures, fold: np.ndarray, params: Params, trials: int, timeout: float, csv: Path
) -> None:
    """Run trials until there are ``trials`` of them or ``timeout`` seconds are over, and list them in ``csv``.

    A trial depends on the seed and on those before it, not on how often the study was stopped in between.
    """
    folds = fold.max() + 1
    start = time.perf_counter()
    done = finished(study)
    bar = tqdm(desc="tune", total=trials * folds, initial=len(done) * folds, unit="fold", mininterval=1)
    with bar:
        while len(done) < trials and time.perf_counter() - start < timeout:
            if not done:
                defaults = {name: getattr(params.transfer, name) for name in SPACE}
                study.enqueue_trial(defaults, user_attrs={"defaults": True})
            seed = np.random.SeedSequence((params.seed, len(done))).generate_state(1)
            study.sampler = optuna.samplers.TPESampler(seed=int(seed[0]), multivariate=True)
            trial = study.ask()
            value = run_trial(trial, pictures, fold, params, bar)
            study.tell(trial, value, state=TrialState.PRUNED if value is None else TrialState.COMPLETE)
            done = finished(study)
            bar.update(len(done) * folds - bar.n)
            complete = [trial.value for trial in done if trial.state == TrialState.COMPLETE]
            bar.set_postfix_str(f"defaults {complete[0]:.4f}, best {min(complete):.4f}")
            with whole_file(csv) as partial:
                table(done).to_csv(partial, index=False, float_format="%.6g")


def table(trials: list[FrozenTrial]) -> pd.DataFrame:
    """A row a trial, in their order: mean and standard deviation over the folds that it came to, and its settings."""
    rows = []
    for number, trial in enumerate(trials):
        row = {"trial": number, "folds": len(trial.user_attrs.get("losses", [])), "state": trial.state.name.lower()}
        for name, scores in (("log_loss", "losses"), ("accuracy", "accuracies")):
            values = pd.Series(trial.user_attrs.get(scores, []), dtype=float)
            row |= {name: values.mean(), f"{name}_sd": values.std()}
        rows.append(row | trial.user_attrs["settings"])
    return pd.DataFrame(rows)


def print_table(trials: list[FrozenTrial]) -> None:
    """Print the best trials that went through all folds, and the defaults'."""
    complete = table(trials).query("state == 'complete'").sort_values("log_loss", kind="stable")
    best = complete[:SHOWN]
    if 0 not in best["trial"].tolist():
        best = pd.concat([best, complete[complete["trial"] == 0]])
    shown = pd.DataFrame({"trial": ["defaults" if number == 0 else number for number in best["trial"]]})
    for name in ("log_loss", "accuracy"):
        pairs = zip(best[name], best[f"{name}_sd"], strict=True)
        shown[name.replace("_", " ")] = [f"{mean:.4f} ± {spread:.4f}" for mean, spread in pairs]
    for name in SPACE:
        shown[name] = [f"{value:g}" for value in best[name]]
    print(shown.to_string(index=False))
    print(f"{len(trials)} trials, {len(trials) - len(complete)} of them given up; ± is the folds' standard deviation")


def compare(pictures: Pictures, settings: list[Transfer], folds: int, repeats: int, seed: int) -> np.ndarray:
    """Log loss and accuracy of each of ``settings`` on ``repeats`` other foldings: (settings, repeats x folds, 2)."""
    scores = [[] for _ in settings]
    seeds = [(seed + number) % 2**32 for number in range(1, repeats + 1)]
    with tqdm(desc="compare", total=len(settings) * repeats * folds, unit="fold", mininterval=1) as bar:
        for other, (each, found) in itertools.product(seeds, zip(settings, scores, strict=True)):
            for pair in cross_validate(pictures, assign_folds(pictures, folds, other), each, other):
                found.append(pair)
                bar.update()
    return np.array(scores)


def print_best(best: FrozenTrial, first: FrozenTrial, again: np.ndarray) -> None:
    """Say what the best trial gains over the first, in its own folds and on others, and how to train with it."""
    if best.number == first.number:
        print("Nothing did better than params.yaml.")
        return
    rounds = [("in these folds", np.array(best.user_attrs["losses"]), np.array(first.user_attrs["losses"]))]
    if again.size:
        rounds.append(("in other folds", *again[..., 0]))
    for where, losses, before in rounds:
        print(
            f"{where}: log loss {losses.mean():.4f}, {before.mean():.4f} with the defaults; "
            f"lower in {(losses < before).sum()} of {len(losses)}"
        )
    if again.size:
        (_, accuracy), (_, before) = again.mean(axis=1)
        print(f"in other folds: accuracy {accuracy:.4f}, {before:.4f} with the defaults")
        if losses.mean() >= rounds[-1][2].mean():
            print("So the gain was luck: keep the defaults.")
            return
    changes = " ".join(f"-S transfer.{name}={value}" for name, value in best.user_attrs["settings"].items())
    print(f"Train with it:\n  dvc exp run {changes}")


def main() -> None:
    """Run the command."""
    arguments = parse_arguments()
    if arguments.model != "transfer":
        raise UserError(
            "only transfer can be tuned so far: its features are computed once, so that a training takes seconds. Try "
            f"settings of {arguments.model} with `dvc exp run --queue -S '{arguments.model}.dropout=choice(0.2,0.5)'`."
        )
    params = load_params()
    pictures = read_pictures(arguments.variant)
    fold = assign_folds(pictures, arguments.folds, params.seed)
    policy = set_precision(params.precision)
    study = open_study(name_study(pictures, fold, params, policy))
    print(f"{len(pictures.groups)} photos in {arguments.folds} folds, {pictures.views.sum()} views; {arguments.csv}")

    timeout = float("inf") if arguments.timeout is None else arguments.timeout
    try:
        tune(study, pictures, fold, params, arguments.trials, timeout, arguments.csv)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{len(finished(study))} trials are kept in {TUNING}") from None
    trials = finished(study)
    print_table(trials)
    first, best = trials[0], study.best_trial
    again = np.empty(0)
    if best.number != first.number and arguments.repeats:
        settings = [params.transfer.model_copy(update=each.user_attrs["settings"]) for each in (best, first)]
        again = compare(pictures, settings, arguments.folds, arguments.repeats, params.seed)
    print_best(best, first, again)


if __name__ == "__main__":
    run(main)
