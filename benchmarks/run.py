"""Measure the pipeline beside the notebook's recipe, stock Keras and what the machine can do, on the same photos.

    python -m benchmarks.run --photos FOLDER [--only PART ...] [--times 3] [--seeds 1 1 1] [--growth 1 4 16] [--every 1]

FOLDER has one sub-folder a breed; without it the drawn sample is measured. PART is one of `PARTS` below; each runs in
processes of its own, one after the other, so leave the machine alone meanwhile. The pipeline that is measured is what
Git has of it, in clones with an empty cache. Each part's table goes to the screen and to benchmarks/results.csv as soon
as it is there; benchmarks/README.md has what they mean.
"""

import argparse
import platform
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from benchmarks import parts
from benchmarks.parts import Row
from benchmarks.pipeline import ROOT, Clone
from stages.lib.core import paths
from stages.lib.core.errors import UserError
from stages.lib.core.outputs import whole_file
from stages.lib.core.params import load_params

RESULTS = ROOT / "benchmarks" / "results.csv"
PARTS = (
    "limits",
    "settings",
    "classifier",
    "default",
    "input",
    "notebook",
    "peer",
    "comparison",
    "answers",
    "predict",
    "growth",
)  # each begins the names that its rows have as their part
COLUMNS = ["part", "what", "unit", "value"]


def compare(table: pd.DataFrame) -> Iterator[Row]:
    """How many times as long as the pipeline the recipes take, of what was measured in one run."""
    seconds = table[table["unit"] == "s"].set_index(["part", "what"])["value"]
    totals = {part: seconds[part, "total"] for part in ("classifier", "default", "notebook", "peer") if part in seconds}
    if {"notebook", "peer"} <= totals.keys():
        totals["notebook + peer"] = totals["notebook"] + totals["peer"]
    if "peer" in totals:
        totals["peer, frozen alone"] = seconds["peer", "frozen"]
    asked = {"default": ("notebook + peer",), "classifier": ("notebook", "peer", "peer, frozen alone")}
    for ours, recipes in asked.items():
        for recipe in recipes:
            if ours in totals and recipe in totals:
                yield "comparison", f"{recipe} / {ours}", "times", totals[recipe] / totals[ours]


def processor() -> str:
    """The processor's name, as Linux lists it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        if names:
            return f"{len(names)} x {names[0]}"
    return platform.processor()


def write_results(table: pd.DataFrame, part: str) -> None:
    """Put a part's rows in the place of its earlier ones in benchmarks/results.csv."""
    table = table.assign(processor=processor(), date=date.today().isoformat())
    table["tensorflow"], table["keras"] = version("tensorflow"), version("keras")
    if RESULTS.exists():
        before = pd.read_csv(RESULTS)
        table = pd.concat([before[~before["part"].str.startswith(part)], table])
    table["value"] = [float(f"{value:.4g}") for value in table["value"]]
    with whole_file(RESULTS) as partial:
        table.to_csv(partial, index=False)


def positive(text: str) -> int:
    """A whole number from 1 up."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=paths.SAMPLE, help="folder with one sub-folder a breed")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="all parts if not given")
    parser.add_argument("--times", type=positive, default=3, help="runs of which answers and predict take the median")
    parser.add_argument(
        "--seeds", nargs="+", type=int, default=[1, 1, 1], help="of the runs of classifier, and peer's once each; 1 1 1"
    )
    parser.add_argument("--growth", nargs="+", type=positive, default=[1, 4, 16], metavar="TIMES", help="1 4 16")
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="growth takes every Nth photo; 1")
    return parser.parse_args()


def main() -> None:
    """Measure what is asked for; print and write each part as soon as it is measured."""
    arguments = parse_arguments()
    photos, times, seeds = arguments.photos, arguments.times, arguments.seeds
    precision = load_params(ROOT / "params.yaml").precision
    vgg16, lite2 = (ROOT / paths.WEIGHTS / f"{name}-bundled.weights.h5" for name in ("VGG16", "EfficientNetLite2"))
    for needed in (vgg16, lite2, photos):
        if not needed.exists():
            raise SystemExit(f"{needed} is not here. `dvc repro` makes the weights and the sample.")
    measured = pd.DataFrame(columns=COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        changes = {"default": {"data.source": str(photos.resolve())}, "sample": {}}

        @cache
        def whole_run(which: str) -> tuple[Clone, pd.DataFrame]:
            clone = Clone(Path(folder) / which, changes[which])
            return clone, clone.dvc(which, "repro")

        measures: dict[str, Callable[[], Iterator[Row]]] = {
            "limits": lambda: parts.measure_limits(vgg16, precision),
            "settings": lambda: parts.measure_settings(vgg16),
            "classifier": lambda: parts.measure_classifier(changes["default"], seeds),
            "default": lambda: parts.measure_default(*whole_run("default")),
            "input": lambda: parts.measure_input(whole_run("default")[0]),
            "notebook": lambda: parts.measure_notebook(photos, vgg16),
            "peer": lambda: parts.measure_peer(photos, lite2, seeds),
            "comparison": lambda: compare(measured),
            "answers": lambda: parts.measure_answers(whole_run("sample")[0], times),
            "predict": lambda: parts.measure_predict(whole_run("sample")[0], photos, times),
            "growth": lambda: parts.measure_growth(photos, arguments.growth, arguments.every),
        }
        for part in PARTS:
            if part in arguments.only:
                print(f"{part} …", flush=True)
                table = pd.DataFrame(measures[part](), columns=COLUMNS)
                print(table.to_string(index=False, float_format="%.4g"), flush=True)
                if len(table):
                    write_results(table, part)
                measured = pd.concat([measured, table])
    print(f"written to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
