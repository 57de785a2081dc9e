"""Draw all charts and write the report, from what the other stages wrote.

Reads   metrics/{evaluate,data_size,label_errors,mended_labels,prepare}.json, metrics/leave_breeds_out,
        metrics/costs/{evaluate.csv,features}, the tables under plots, data/explained; pictures of data/prepared,
        data/prepared_unknown and data/augmented
Makes   plots/report.html and plots/costs.png, which tell seconds and so differ from run to run; the other pictures
        under plots
Alone   python -m stages.report
Cost    6 s, without TensorFlow
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.lib.core.evaluated import find_best, read_evaluation
from stages.lib.core.models import list_scorers
from stages.lib.core.parallel import in_processes
from stages.lib.core.params import Params, load_params
from stages.lib.core.tables import read_csv
from stages.lib.evaluation.answer import answer_in_a_sentence
from stages.lib.evaluation.caveats import describe_test
from stages.lib.evaluation.data_size import in_words
from stages.lib.reporting import drawings, sections
from stages.lib.reporting.report import write_report


def read_json(name: str) -> Any:
    """Read metrics/``name``.json."""
    return json.loads((paths.METRICS / f"{name}.json").read_text(encoding="utf-8"))


def draw_charts(
    params: Params,
    scores: drawings.Scores,
    costs: Mapping[str, Mapping[str, float]],
    best: str,
    predictions: Mapping[str, pd.DataFrame],
    report: pd.DataFrame,
    familiarity: pd.DataFrame,
    subject: str,
) -> None:
    """Draw all pictures under plots; the arguments are those of the functions in `drawings`."""
    families, level = params.families, params.evaluate.confidence_level
    charts = [
        partial(drawings.draw_results, scores, report, families, level, subject),
        partial(drawings.draw_matrices, predictions, report["breed"].unique().tolist(), subject),
        partial(drawings.draw_photos, read_csv(paths.PLOTS / "class_balance.csv")),
        partial(drawings.draw_costs, scores, costs, families, best, level, subject),
        partial(drawings.draw_familiarity, familiarity, list_scorers(families), scores, subject),
        partial(drawings.draw_data_size, read_csv(paths.PLOTS / "data_size.csv"), read_json("data_size")["val_photos"]),
    ]
    in_processes(charts, what="charts", unit="group")


def main() -> None:
    """Run the stage."""
    params = load_params()
    level = params.evaluate.confidence_level
    evaluation = read_evaluation()
    best = find_best(evaluation)
    scores = {model: evaluation[model] for model in params.models}
    predictions = {model: read_csv(paths.PREDICTION_TABLES / f"{model}.csv") for model in scores}
    report, comparisons, familiarity, more_photos = (
        read_csv(paths.PLOTS / f"{name}.csv")
        for name in ("classification_report", "comparisons", "familiarity", "more_photos")
    )
    costs = sections.costs(read_csv(paths.COSTS / "evaluate.csv"), params.backbones)
    subject = describe_test(evaluation["test_photos"], params.data.source, predictions[best]["photo"].tolist())

    draw_charts(params, scores, costs["costs"], best, predictions, report, familiarity, subject)
    content = {
        "answer": answer_in_a_sentence(best, scores[best], costs["costs"][best], comparisons, subject, level),
        "caveats": evaluation["caveats"],
        "subject": subject,
        "best": best,
        **costs,
        **sections.results(scores, comparisons, report, best),
        **sections.photos(predictions[best]),
        **sections.unknown(scores, familiarity, best, params, subject),
        "data_size_answer": in_words(read_json("data_size"), more_photos, level),
        **sections.more_photos(more_photos),
        **sections.suspicious_labels(read_csv(paths.PLOTS / "suspicious_labels.csv"), read_json("label_errors")),
        "label_fixes": read_json("prepare")["label_fixes"],
        "mended": read_json("mended_labels")[best],
    }
    write_report(content, params)
    print(f"report: {paths.PLOTS / 'report.html'}")


if __name__ == "__main__":
    run(main)
