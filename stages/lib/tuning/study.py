"""Trials of settings, suggested by Optuna and kept in tuning/optuna.db."""

import hashlib
import importlib.metadata
import json
import time
from pathlib import Path

import numpy as np
import optuna
import sqlalchemy
from optuna.trial import FrozenTrial, Trial, TrialState

from stages.lib.core import paths
from stages.lib.core.errors import UserError
from stages.lib.core.outputs import whole_file
from stages.lib.core.params import Params, Training
from stages.lib.core.progress import Progress
from stages.lib.datasets import batches
from stages.lib.networks import classifiers
from stages.lib.training import heads, loop
from stages.lib.tuning import folds
from stages.lib.tuning.folds import Pictures, cross_validate
from stages.lib.tuning.space import SPACE
from stages.lib.tuning.tables import table

PACKAGES = ("tensorflow", "keras", "numpy", "optuna", "scikit-learn")  # another version may give other trials


def suggest(trial: Trial, defaults: Training) -> Training:
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
    sources = [Path(__file__), *(Path(str(module.__file__)) for module in (batches, classifiers, folds, heads, loop))]
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
    paths.TUNING.mkdir(exist_ok=True)
    file = paths.TUNING / "optuna.db"
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


def run_trial(trial: Trial, pictures: Pictures, fold: np.ndarray, params: Params, bar: Progress) -> float | None:
    """The mean log loss of a trial's settings; None where it is given up."""
    settings = suggest(trial, params.transfer)
    losses, accuracies = [], []
    try:
        for loss, accuracy in cross_validate(pictures, fold, settings, params.seed):
            losses.append(loss)
            accuracies.append(float(accuracy))
            trial.set_user_attr("losses", losses)
            trial.set_user_attr("accuracies", accuracies)
            trial.report(float(np.mean(losses)), step=len(losses) - 1)
            bar.update()
            if len(losses) <= fold.max() and trial.should_prune():
                return None
    except UserError:  # it diverged
        if settings is params.transfer:
            raise
        return None
    return float(np.mean(losses))


def tune(
    study: optuna.Study, pictures: Pictures, fold: np.ndarray, params: Params, trials: int, timeout: float, csv: Path
) -> None:
    """Run trials until there are ``trials`` of them or ``timeout`` seconds are over, and list them in ``csv``.

    A trial depends on the seed and on those before it, not on how often the study was stopped in between.
    """
    folds = fold.max() + 1
    start = time.perf_counter()
    done = finished(study)
    bar = Progress(desc="tune", total=trials * folds, initial=len(done) * folds, unit="fold")
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
            complete = [trial.value for trial in done if trial.value is not None and trial.state == TrialState.COMPLETE]
            bar.set_postfix_str(f"defaults {complete[0]:.4f}, best {min(complete):.4f}", refresh=False)
            with whole_file(csv) as partial:
                table(done).to_csv(partial, index=False, float_format="%.6g")
