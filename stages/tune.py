"""Look for better settings than those of params.yaml, by cross-validation on train and val together, never on test.

Reads   data/features/<main_backbone>/<variant>
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
from pathlib import Path

import numpy as np

from stages.lib.core import paths
from stages.lib.core.errors import UserError, run
from stages.lib.core.params import load_params
from stages.lib.networks.precision import set_precision
from stages.lib.tuning.folds import assign_folds, compare, read_pictures
from stages.lib.tuning.study import finished, name_study, open_study, tune
from stages.lib.tuning.tables import print_best, print_table


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
        arguments.csv = paths.TUNING / f"transfer_{arguments.variant}.csv"
    return arguments


def main() -> None:
    """Run the command."""
    arguments = parse_arguments()
    if arguments.model != "transfer":
        raise UserError(
            "only transfer can be tuned so far: its features are computed once, so that a training takes seconds. Try "
            f"settings of {arguments.model} with `dvc exp run --queue -S '{arguments.model}.dropout=choice(0.2,0.5)'`."
        )
    params = load_params()
    pictures = read_pictures(params.main_backbone, arguments.variant)
    fold = assign_folds(pictures, arguments.folds, params.seed)
    policy = set_precision(params.precision)
    study = open_study(name_study(pictures, fold, params, policy))
    print(f"{len(pictures.groups)} photos in {arguments.folds} folds, {pictures.views.sum()} views; {arguments.csv}")

    timeout = float("inf") if arguments.timeout is None else arguments.timeout
    try:
        tune(study, pictures, fold, params, arguments.trials, timeout, arguments.csv)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"{len(finished(study))} trials are kept in {paths.TUNING}") from None
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
