"""Whether a model notices what it does not know, in sentences."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stages.lib.core import paths
from stages.lib.core.prose import render_line, templates
from stages.lib.evaluation.caveats import is_folder
from stages.lib.familiarity.conformal import fewest_photos

NOTICE = templates(Path(__file__).parent / "templates", autoescape=False).get_template("notice.jinja")


class LeftOut(NamedTuple):
    """What came of breeds left out."""

    summary: Mapping[str, float | None]  # what `summarise` gives
    breeds: list[dict[Any, Any]]  # the rows of what `leave_breeds_out` gives

    @property
    def least(self) -> dict[Any, Any]:
        """The row of the breed of which the smallest share is turned away, the first of equal ones."""
        return min((row for row in self.breeds if row["turned_away"] is not None), key=lambda row: row["turned_away"])


def tell_notice(
    model: str,
    scores: Mapping[str, Any],
    subject: str,
    source: str,
    asked: float,
    level: float,
    left_out: LeftOut | None = None,
) -> str:
    """What share of known and of other photos is called "none of these breeds".

    Args:
        model: its name.
        scores: its own, what `judge_familiarity` gives among them.
        subject: the test photos, in words.
        source: where the unknown photos are from, `data.unknown`.
        asked: the share of known photos that may be turned away.
        level: of the intervals.
        left_out: None where it was not looked for.
    """
    return render_line(
        NOTICE,
        model=model,
        scores=scores,
        subject=subject,
        source=source,
        drawn=is_folder(source, paths.UNKNOWN_SAMPLE),
        asked=asked,
        fewest=fewest_photos(asked),
        level=level,
        left_out=left_out,
    )
