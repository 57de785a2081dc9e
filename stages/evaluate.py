"""Compare all models on the test photos: numbers, from what they answered.

Reads   data/predictions, data/data_size, plots/data_size.csv, plots/history;
        metrics/costs/{training,predictions}: training seconds, milliseconds a photo; data/prepared/manifest.csv: which
        labels a person mended
Makes   metrics/evaluate.json: all scores of each model, which is best, what to beware of;
        metrics/{val,test}/<model>.json: the few of them for `dvc metrics show`;
        metrics/mended_labels.json: of each model, scores on test by labels as they came and as mended;
        metrics/data_size.json: what all training photos gain over half of them, with a p value;
        plots/more_photos.csv: the breeds, those first of which more photos would help most;
        metrics/costs/evaluate.csv: parameters, size, seconds; the only file of this stage that differs from run to run;
        plots/predictions/<model>.csv, plots/{classification_report,comparisons,confusion,familiarity,familiarity_roc,
        learning_curves,reliability,risk_coverage}.csv
Removes the files of models whose backbone was taken off params.yaml
Alone   python -m stages.evaluate
Fits    a temperature and a confidence threshold for each model, and chooses the best one, on val alone; from which
        familiarity on a photo is known, by val and train
Cost    3 s, without TensorFlow
"""

import json
from typing import Any

import numpy as np
import pandas as pd

from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.lib.core.leftovers import remove_leftovers
from stages.lib.core.models import list_scorers, plan_comparisons
from stages.lib.core.outputs import whole_folder, write_json
from stages.lib.core.params import Params, load_params
from stages.lib.core.tables import read_csv, write_csv
from stages.lib.datasets.predictions import Predictions, read_models, read_predictions
from stages.lib.evaluation.answer import answer_in_a_sentence, best_on_val
from stages.lib.evaluation.caveats import describe_test, find_caveats, is_drawn
from stages.lib.evaluation.comparisons import compare_models
from stages.lib.evaluation.data_size import compare_sizes, rank_breeds
from stages.lib.evaluation.judging import Judged, judge
from stages.lib.evaluation.mended_labels import labels_as_came, score_both
from stages.lib.evaluation.notice import tell_notice
from stages.lib.evaluation.tables import join_models, stack, tabulate_answers, tabulate_predictions
from stages.lib.evaluation.unknown import judge_familiarity, tabulate_familiarity, trace_curve

# of each model, for `dvc metrics show`: with one more, it would not fit 120 columns
HEADLINES = ["accuracy", "accuracy_low", "accuracy_high", "log_loss", "ece"]
OF_MANY_BREEDS = ["accuracy", "top5_accuracy", "log_loss", "ece"]
OF_THE_FILE = ("breeds", "known_familiarity")  # what is known of a model, and no score of it


def write_headlines(split: str, scores: dict[str, dict[str, Any]]) -> None:
    """Write metrics/<split>/<model>.json."""
    with whole_folder(paths.METRICS / split) as folder:
        for model in scores:
            names = OF_MANY_BREEDS if "top5_accuracy" in scores[model] else HEADLINES
            write_json(folder / f"{model}.json", {name: scores[model][name] for name in names})


def read_costs(families: dict[str, tuple[str, ...]], scores: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """One row a model: accuracy, parameters, size on disk, training seconds, milliseconds a photo."""
    rows = []
    for family, models in families.items():
        timed = json.loads((paths.PREDICTION_COSTS / f"{family}.json").read_text(encoding="utf-8"))
        for model in models:
            trained = json.loads((paths.TRAINING_COSTS / f"{model}.json").read_text(encoding="utf-8"))
            known = {name: scores[model][name] for name in ("accuracy", "parameters", "megabytes")}
            rows.append({"model": model, **known, "training_seconds": trained["training_seconds"], **timed[model]})
    return pd.DataFrame(rows)


def judge_data_size(seed: int) -> None:
    """Write what more training photos are worth, by the probes of the stage data_size."""
    right = np.load(paths.DATA_SIZE / "right.npy", allow_pickle=False)
    photos = read_csv(paths.PLOTS / "data_size.csv").query("repeat == 0")["photos"].tolist()
    losses = read_csv(paths.DATA_SIZE / "losses.csv")
    write_json(paths.METRICS / "data_size.json", compare_sizes(right, photos, seed))
    write_csv(rank_breeds(losses), paths.PLOTS / "more_photos.csv")


def score_mended(models: dict[str, dict[str, Any]], test: Predictions) -> dict[str, dict[str, Any]]:
    """Each model's scores on test by the labels as they came, and as a person mended them."""
    manifest = pd.read_csv(paths.PREPARED / "manifest.csv", dtype=str, keep_default_na=False)
    came = labels_as_came(test.photos, manifest)
    return {
        model: score_both(came, test.actual, test.probabilities[model], about["breeds"])
        for model, about in models.items()
    }


def judge_models(
    models: dict[str, dict[str, Any]], val: Predictions, test: Predictions, params: Params
) -> dict[str, Judged]:
    """Score each of ``models``, and write what it answered about ``test`` to plots/predictions."""
    judged = {}
    for model, about in models.items():
        breeds, on_val, on_test = about["breeds"], val.probabilities[model], test.probabilities[model]
        judged[model] = judge(breeds, val.actual, on_val, test.actual, on_test, params.evaluate, params.seed)
        judged[model].scores.update({name: value for name, value in about.items() if name not in OF_THE_FILE})
        table = tabulate_predictions(test.photos, test.actual, on_test, breeds)
        write_csv(table, paths.PREDICTION_TABLES / f"{model}.csv")
    return judged


def judge_unknown(
    models: dict[str, dict[str, Any]],
    test: Predictions,
    unknown: Predictions,
    params: Params,
    scores: dict[str, dict[str, Any]],
) -> None:
    """Add to each model's ``scores`` what it calls none of its breeds; write plots/familiarity{,_roc}.csv."""
    settings, tables = params.evaluate, {}
    for model, about in models.items():
        known, of_test, of_unknown = about["known_familiarity"], test.familiarity[model], unknown.familiarity[model]
        scores[model] |= judge_familiarity(known, of_test, of_unknown, settings.turned_away, settings.confidence_level)
        threshold = scores[model]["familiarity_threshold"]
        for split, asked in (("test", test), ("unknown", unknown)):
            answers = tabulate_answers(asked.photos, asked.probabilities[model], about["breeds"])
            tables[model, split] = tabulate_familiarity(answers, asked.familiarity[model], known, threshold)
    curves = {
        name: trace_curve(test.familiarity[model], unknown.familiarity[model])
        for name, model in list_scorers(params.families).items()
    }
    write_csv(stack(tables, ["model", "split"]), paths.PLOTS / "familiarity.csv")
    write_csv(stack(curves, ["model"]), paths.PLOTS / "familiarity_roc.csv")


def main() -> None:
    """Run the stage."""
    params = load_params()
    families, settings, source = params.families, params.evaluate, params.data.source
    models = read_models(families)
    val, test, unknown = (read_predictions(families, split) for split in ("val", "test", "unknown"))
    judged, photos = judge_models(models, val, test, params), test.photos
    scores = {model: found.scores for model, found in judged.items()}
    judge_unknown(models, test, unknown, params, scores)
    best = best_on_val({model: found.val_scores for model, found in judged.items()})
    right = {model: found.right for model, found in judged.items()}
    comparisons = compare_models(right, plan_comparisons(families, best), settings.confidence_level)
    support: dict[Any, int] = judged[best].report.set_index("breed")["support"].to_dict()
    weights = {name: backbone.weights for name, backbone in params.backbones.items()}
    caveats = find_caveats(photos, support, source, weights)
    costs = read_costs(families, scores)

    chosen = {"best": best, "best_sha256": scores[best]["sha256"], "views": settings.views}
    about_test = {"test_photos": len(photos), "drawn": is_drawn(source), "caveats": caveats}
    write_json(paths.EVALUATION, {**scores, **chosen, **about_test})
    write_headlines("val", {model: found.val_scores for model, found in judged.items()})
    write_headlines("test", scores)
    histories = {model: pd.read_csv(paths.HISTORY / f"{model}.csv") for model in scores}
    for name, table in join_models(judged).items():
        write_csv(table, paths.PLOTS / f"{name}.csv")
    for name, table in {"comparisons": comparisons, "learning_curves": stack(histories, ["model"])}.items():
        write_csv(table, paths.PLOTS / f"{name}.csv", float_format="%.6g")  # p values and learning rates may be tiny
    write_csv(costs, paths.COSTS / "evaluate.csv")
    judge_data_size(params.seed)
    write_json(paths.METRICS / "mended_labels.json", score_mended(models, test))
    subject = describe_test(len(photos), source, photos)
    cost: dict[Any, float] = costs.set_index("model").loc[best].to_dict()
    print(answer_in_a_sentence(best, scores[best], cost, comparisons, subject, settings.confidence_level), *caveats)
    asked, level = settings.turned_away, settings.confidence_level
    print(tell_notice(best, scores[best], subject, params.data.unknown, asked, level))
    for name in remove_leftovers(families):
        print(f"removed the files of {name}, which is no backbone of params.yaml any more")


if __name__ == "__main__":
    run(main)
