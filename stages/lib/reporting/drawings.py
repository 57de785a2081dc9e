"""All pictures under plots, drawn from what the stages wrote."""

from collections.abc import Mapping

import pandas as pd

from stages.lib.core import paths
from stages.lib.core.encoding import encode
from stages.lib.core.outputs import whole_folder
from stages.lib.core.tables import read_csv
from stages.lib.reporting import charts, familiarity_charts, score_charts, sheets, training_charts

Families = Mapping[str, tuple[str, ...]]
Scores = Mapping[str, Mapping[str, float]]


def draw_photos(balance: pd.DataFrame) -> None:
    """Draw how many photos each breed has, some of the training photos, and the random views of a few.

    ``balance`` has the columns breed, split and photos.
    """
    charts.save(charts.class_balance(balance), paths.PLOTS / "class_balance.png")
    charts.save(sheets.training_pictures(), paths.PLOTS / "contact_sheet.jpg")
    charts.save(sheets.random_views(), paths.PLOTS / "augmentation.jpg")


def draw_matrices(predictions: Mapping[str, pd.DataFrame], breeds: list[str], subject: str) -> None:
    """Draw a confusion matrix for each model, and for no other.

    Args:
        predictions: of each model, plots/predictions/<model>.csv.
        breeds: their names, in the order of rows and columns.
        subject: what was tested on, for titles.
    """
    with whole_folder(paths.CONFUSION) as folder:
        for model, answers in predictions.items():
            actual, predicted = (encode(answers[name], breeds) for name in ("actual", "predicted"))
            title = f"{charts.break_name(model)}\n{subject}"
            charts.save(score_charts.confusion(actual, predicted, breeds, title), folder / f"{model}.png")


def draw_results(scores: Scores, report: pd.DataFrame, families: Families, level: float, subject: str) -> None:
    """Draw curves and scores of all models.

    Args:
        scores: of each model, as in metrics/evaluate.json.
        report: plots/classification_report.csv.
        families: the models by the network that they have in common.
        level: of the intervals.
        subject: what was tested on, for titles.
    """
    histories, reliability, risk_coverage = (
        by_model(read_csv(paths.PLOTS / f"{name}.csv")) for name in ("learning_curves", "reliability", "risk_coverage")
    )
    points = {
        model: {str(scaling): rows for scaling, rows in of_model.groupby("scaling", sort=False)}
        for model, of_model in reliability.items()
    }
    figures = {
        "accuracy": score_charts.accuracies(scores, families, level, subject),
        "learning_curves": training_charts.learning_curves(histories, families),
        "reliability": score_charts.reliability(points),
        "risk_coverage": score_charts.risk_coverage(risk_coverage, families, subject),
        "recall": score_charts.recalls(report, subject),
    }
    for name, figure in figures.items():
        charts.save(figure, paths.PLOTS / f"{name}.png")


def draw_costs(
    scores: Scores,
    costs: Mapping[str, Mapping[str, float]],
    families: Families,
    best: str,
    level: float,
    subject: str,
) -> None:
    """Draw what each model is worth over what it costs.

    ``costs`` are the rows of metrics/costs/evaluate.csv by model; ``best`` is the best on val; the others are those of
    `draw_results`.
    """
    milliseconds = {model: row["milliseconds_batch_1"] for model, row in costs.items()}
    chart = training_charts.costs(scores, milliseconds, families, best, level, subject)
    charts.save(chart, paths.PLOTS / "costs.png")


def draw_familiarity(photos: pd.DataFrame, scorers: Mapping[str, str], scores: Scores, subject: str) -> None:
    """Draw how familiar photos are: plots/familiarity.csv.

    ``scorers`` is what `list_scorers` gives; the others are those of `draw_results`.
    """
    tables = by_model(photos)
    chart = familiarity_charts.familiarity(
        {name: tables[model] for name, model in scorers.items()},
        {name: scores[model]["familiarity_threshold"] for name, model in scorers.items()},
        subject,
    )
    charts.save(chart, paths.PLOTS / "familiarity.png")


def by_model(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each model, in the order in which they come."""
    return {str(model): rows for model, rows in table.groupby("model", sort=False)}


def draw_data_size(table: pd.DataFrame, val_photos: int) -> None:
    """Draw plots/data_size.csv."""
    charts.save(score_charts.data_size(table, val_photos), paths.PLOTS / "data_size.png")
