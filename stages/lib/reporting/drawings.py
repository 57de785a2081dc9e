"""All pictures under plots, drawn from what the stages wrote."""

import pandas as pd

from stages.lib.core import paths
from stages.lib.core.encoding import encode
from stages.lib.core.tables import read_csv
from stages.lib.reporting import charts, score_charts, sheets


def draw_photos(balance: pd.DataFrame) -> None:
    """Draw how many photos each breed has, some of the training photos, and the random views of a few.

    ``balance`` has the columns breed, split and photos.
    """
    charts.save(charts.class_balance(balance), paths.PLOTS / "class_balance.png")
    charts.save(sheets.training_pictures(), paths.PLOTS / "contact_sheet.jpg")
    charts.save(sheets.random_views(), paths.PLOTS / "augmentation.jpg")


def draw_results(
    scores: dict[str, dict[str, float]], predictions: dict[str, pd.DataFrame], level: float, subject: str
) -> None:
    """Draw curves, scores and matrices of all models.

    Args:
        scores: of each model, as in metrics/evaluate.json.
        predictions: of each model, plots/predictions/<model>.csv.
        level: of the intervals.
        subject: what was tested on, for titles.
    """
    histories = {model: pd.read_csv(paths.HISTORY / f"{model}.csv") for model in scores}
    report, reliability, risk_coverage = (
        read_csv(paths.PLOTS / f"{name}.csv") for name in ("classification_report", "reliability", "risk_coverage")
    )
    breeds = report["breed"].unique().tolist()
    for model, answers in predictions.items():
        actual, predicted = (encode(answers[name], breeds) for name in ("actual", "predicted"))
        matrix = score_charts.confusion(actual, predicted, breeds, f"{model}: {subject}")
        charts.save(matrix, paths.PLOTS / "confusion" / f"{model}.png")
    points = {
        model: {str(scaling): rows for scaling, rows in of_model.groupby("scaling", sort=False)}
        for model, of_model in by_model(reliability).items()
    }
    figures = {
        "accuracy": score_charts.accuracies(scores, level, subject),
        "learning_curves": score_charts.learning_curves(histories),
        "reliability": score_charts.reliability(points),
        "risk_coverage": score_charts.risk_coverage(by_model(risk_coverage), subject),
        "recall": score_charts.recalls(report, subject),
    }
    for name, figure in figures.items():
        charts.save(figure, paths.PLOTS / f"{name}.png")


def by_model(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each model, in the order in which they come."""
    return {str(model): rows for model, rows in table.groupby("model", sort=False)}


def draw_data_size(table: pd.DataFrame, val_photos: int) -> None:
    """Draw plots/data_size.csv."""
    charts.save(score_charts.data_size(table, val_photos), paths.PLOTS / "data_size.png")
