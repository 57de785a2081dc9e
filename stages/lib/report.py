"""plots/report.html: the comparison on one page that needs nothing beside it."""

import base64
from pathlib import Path

import jinja2
import pandas as pd

from stages.lib import paths
from stages.lib.outputs import whole_file

TEMPLATE = Path(__file__).with_name("report.html.jinja")


def _picture(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def write_report(
    scores: dict[str, dict[str, float]],
    best: str,
    subject: str,
    confidence_level: float,
    breeds: pd.DataFrame,
    comparisons: pd.DataFrame,
    warnings: list[str],
) -> None:
    """Write the page: the answer first, then the models, warnings, charts, the best model's breeds, the tests.

    Args:
        scores: of each model, as `stages.lib.scores.compute_scores` gives them.
        best: the model that was chosen on val.
        subject: what was tested on, for example "233 test photos".
        confidence_level: of the intervals.
        breeds: the best model's classification report.
        comparisons: as `stages.lib.scores.compare_models` gives them, with a verdict each.
        warnings: sentences.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    page = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        scores=scores,
        best=best,
        subject=subject,
        confidence_level=confidence_level,
        breeds=breeds.to_dict("records"),
        comparisons=comparisons.to_dict("records"),
        warnings=warnings,
        accuracy=_picture(paths.PLOTS / "accuracy.png"),
        curves=_picture(paths.PLOTS / "learning_curves.png"),
        matrices={model: _picture(paths.PLOTS / "confusion" / f"{model}.png") for model in scores},
    )
    with whole_file(paths.PLOTS / "report.html") as partial:
        partial.write_text(page, encoding="utf-8")
