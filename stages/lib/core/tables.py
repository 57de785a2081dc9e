"""Tables as CSV, for people and for the stages after."""

from pathlib import Path

import pandas as pd

from stages.lib.core.outputs import whole_file

# columns that hold no numbers, even where they look so
WORDS = (
    "photo",
    "breed",
    "split",
    "model",
    "actual",
    "predicted",
    "first",
    "second",
    "labelled",
    "suggested",
    "passes_for",
)


def write_csv(table: pd.DataFrame, path: Path, float_format: str = "%.6f") -> None:
    """Write a table without its index."""
    with whole_file(path) as partial:
        table.to_csv(partial, index=False, float_format=float_format)


def read_csv(path: Path) -> pd.DataFrame:
    """Read what `write_csv` wrote; a breed or a photo may be called 1 or NA."""
    return pd.read_csv(path, dtype=dict.fromkeys(WORDS, str), keep_default_na=False, na_values=[""])
