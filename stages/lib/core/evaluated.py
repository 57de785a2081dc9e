"""What evaluate found, for those that come after it."""

import json
from typing import Any

from stages.lib.core import paths
from stages.lib.core.errors import UserError


def read_evaluation() -> dict[str, Any]:
    """What evaluate wrote to metrics/evaluate.json; nothing where it has not run.

    Raises `UserError` where the file is no JSON, as after a conflict in Git.
    """
    path = paths.EVALUATION
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(
            f"{path} is not as evaluate wrote it ({error}): `git checkout {path}` brings it back."
        ) from None


def find_best(evaluation: dict[str, Any]) -> str:
    """Which model is best, by what `read_evaluation` gave; raises `UserError` where evaluate has not run."""
    if "best" not in evaluation:
        raise UserError(f"There is no {paths.EVALUATION} to tell the best model: run `dvc repro` first.")
    return evaluation["best"]
