"""Measure the pipeline beside the notebook's recipe, Keras' guide and what the machine can do, on the same photos.

    python -m benchmarks.run --photos FOLDER [--only PART ...] [--growth 1 4 16]

FOLDER has one sub-folder a breed; without it the drawn sample is measured. PART is one of `PARTS` below; each runs in
processes of its own, one after the other, so leave the machine alone meanwhile. The pipeline that is measured is what
Git has of it, with VGG16 at 128 pixels alone, as in the recipes, but for the part backbones. Each part's table goes to
the screen and to benchmarks/results.csv as soon as it is there; benchmarks/README.md has what they mean.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.photographs import read_photos, write_copies, write_splits
from benchmarks.pipeline import ROOT, VGG16, Clone, alone, bundled
from stages.lib.core import paths
from stages.lib.core.errors import UserError
from stages.lib.core.outputs import whole_file
from stages.lib.core.params import load_params

RESULTS = ROOT / "benchmarks" / "results.csv"
PARTS = {  # and how their rows begin
    "limits": "limits",
    "settings": "settings",
    "pipeline": "pipeline",
    "backbones": "backbones",
    "notebook": "notebook",
    "guide": "Keras' guide",
    "growth": "growth",
}
COLUMNS = ["part", "what", "unit", "value"]
SETTINGS = {  # what the field tries: other options of benchmarks.limits, another environment
    "float32": (["float32"], {}),
    "bfloat16": (["mixed_bfloat16"], {}),
    "bfloat16, XLA": (["mixed_bfloat16", "--xla", "--not-deterministic"], {}),
    "bfloat16, not deterministic": (["mixed_bfloat16", "--not-deterministic"], {}),
    "bfloat16, 1 thread an operation": (["mixed_bfloat16", "--threads", "1"], {}),
    "bfloat16, batches of 8": (["mixed_bfloat16", "--batch-size", "8"], {}),
    "bfloat16, batches of 64": (["mixed_bfloat16", "--batch-size", "64"], {}),
    "bfloat16, batches of 128": (["mixed_bfloat16", "--batch-size", "128"], {}),
    "float32, without oneDNN": (["float32"], {"TF_ENABLE_ONEDNN_OPTS": "0"}),
}
RUNS: dict[str, dict[str, Any]] = {  # of the part backbones, each with its changes of params.yaml
    "VGG16 alone": alone(VGG16),
    "EfficientNetLite0 alone": alone(bundled("EfficientNetLite0", 224, 4)),
    "EfficientNetLite2 alone": alone(bundled("EfficientNetLite2", 260, 4)),
    "default": {},
}
Row = tuple[str, Any, str, Any]  # part, what, unit, value


def run_json(module: str, *arguments: object, folder: Path = ROOT, environment: dict[str, str] | None = None) -> Any:
    """Run a module of this folder in a process of its own, and read the JSON on its last line."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    variables = {**os.environ, **(environment or {})}
    finished = subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(finished.stdout.splitlines()[-1])


def measure_recipe(part: str, module: str, photos: Path, weights: Path) -> Iterator[Row]:
    """Seconds an epoch of each training of a recipe, and of all its epochs."""
    with tempfile.TemporaryDirectory() as folder:
        write_splits(read_photos(photos), Path(folder), test=0.25, seed=1)
        measured = run_json(module, folder, weights)
    total = 0.0
    for training in measured:
        yield part, f"{training['training']}, an epoch", "s", training["seconds"]
        yield (
            part,
            f"{training['training']}, {training['epochs']} epochs",
            "s",
            training["epochs"] * training["seconds"],
        )
        total += training["epochs"] * training["seconds"]
    yield part, "all epochs", "s", total


def measure_limits(weights: Path, precision: str) -> Iterator[Row]:
    """What the machine can do in ``precision``."""
    found = run_json("limits", weights, precision)
    for dtype, rate in found["matrix product, GFLOP/s"].items():
        yield "limits", f"matrix product, {dtype}", "GFLOP/s", rate
    for network in found["networks"]:
        yield "limits", network["what"], "GFLOP/picture", network["GFLOP a picture"]
        yield "limits", network["what"], "pictures/s", network["pictures/s"]
        yield "limits", network["what"], "share of the matrix product", network["share of peak"]


def measure_settings(weights: Path) -> Iterator[Row]:
    """The same networks with other precision, threads, batch sizes, with XLA, without oneDNN."""
    for name, (options, environment) in SETTINGS.items():
        print(f"  {name}", flush=True)
        for network in run_json("limits", weights, *options, environment=environment)["networks"]:
            yield f"settings: {name}", network["what"], "pictures/s", network["pictures/s"]


def rows_of(part: str, stages: pd.DataFrame) -> Iterator[Row]:
    """What `Clone.repro` gives, as seconds and memory."""
    for row in stages.itertuples():
        yield part, row.stage, "s", row.seconds
        if row.memory:
            yield part, row.stage, "MiB", row.memory


def measure_backbones(photos: Path) -> Iterator[Row]:
    """`dvc repro` from an empty cache, with one backbone or another alone, and with those of params.yaml."""
    for name, changes in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            part = f"backbones, {name}"
            yield from rows_of(part, Clone(Path(folder) / "clone", photos, changes).repro(part))


def measure_pipeline(photos: Path) -> Iterator[Row]:
    """`dvc repro` from an empty cache, with another learning rate of transfer, and with nothing changed."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Clone(Path(folder) / "clone", photos, alone(VGG16))
        for part, changes in (
            ("pipeline, empty cache", {}),
            ("pipeline, transfer.learning_rate changed", {"transfer.learning_rate": 5e-4}),
            ("pipeline, nothing changed", {}),
        ):
            clone.set(changes)
            yield from rows_of(part, clone.repro(part))
        for costs in (paths.FEATURE_COSTS, paths.TRAINING_COSTS):
            for file in sorted((clone.folder / costs).glob("*.json")):
                measured = json.loads(file.read_text(encoding="utf-8"))
                yield "pipeline, while it computes", file.stem, "pictures/s", measured["pictures_per_second"]
        for stage, rate in run_json("input", folder=clone.folder).items():
            yield "pipeline, input alone", stage, "pictures/s", rate


def measure_growth(photos: Path, times: list[int]) -> Iterator[Row]:
    """The pipeline on copies of the photos; for each stage the exponent that fits its seconds and its memory best."""
    measured = {}
    for factor in times:
        with tempfile.TemporaryDirectory() as folder:
            write_copies(read_photos(photos), Path(folder) / "photos", factor)
            clone = Clone(Path(folder) / "clone", Path(folder) / "photos", alone(VGG16))
            stages = clone.repro(f"growth, {factor}x")
        yield from rows_of(f"growth, {factor}x", stages)
        measured[factor] = stages.set_index("stage")
    if len(times) < 2:
        return
    for stage in measured[times[0]].index:
        for column, unit in (("seconds", "exponent of seconds"), ("memory", "exponent of memory")):
            values = [measured[factor].loc[stage, column] for factor in times]
            if min(values) > 0:
                yield "growth, exponents", stage, unit, float(np.polyfit(np.log(times), np.log(values), 1)[0])


def processor() -> str:
    """The processor's name, as Linux lists it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        if names:
            return f"{len(names)} x {names[0]}"
    return platform.processor()


def compare(table: pd.DataFrame) -> pd.DataFrame:
    """How many times faster the pipeline is than the recipes, where all were measured."""
    seconds = table[table["unit"] == "s"].set_index(["part", "what"])["value"].astype(float)
    ours = ("pipeline, empty cache", "total")
    rows = [
        ("comparison", f"{part} / pipeline from an empty cache", "times", seconds[part, "all epochs"] / seconds[ours])
        for part in ("notebook", "Keras' guide")
        if ours in seconds and (part, "all epochs") in seconds
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def write_results(rows: list[Row], part: str) -> None:
    """Put a part's rows in the place of its earlier ones in benchmarks/results.csv, and compare anew."""
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["processor"], table["date"] = processor(), date.today().isoformat()
    table["tensorflow"], table["keras"] = version("tensorflow"), version("keras")
    if RESULTS.exists():
        before = pd.read_csv(RESULTS)
        same = before["part"].str.startswith((part, "comparison"))
        table = pd.concat([before[~same], table])
    table = pd.concat([table, compare(table)])
    table["value"] = [float(f"{value:.4g}") for value in table["value"]]
    with whole_file(RESULTS) as partial:
        table.to_csv(partial, index=False)


def positive(text: str) -> int:
    """A whole number from 1 up."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main() -> None:
    """Measure what is asked for; print and write each part as soon as it is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, default=paths.SAMPLE, help="folder with one sub-folder a breed")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="all parts if not given")
    parser.add_argument("--growth", nargs="+", type=positive, default=[1, 4, 16], metavar="TIMES", help="1 4 16")
    arguments = parser.parse_args()

    precision = load_params(ROOT / "params.yaml").precision
    weights = ROOT / VGG16["weights"]
    for needed in (weights, arguments.photos):
        if not needed.exists():
            raise SystemExit(f"{needed} is not here. `dvc repro` makes the weights and the sample.")
    measures = {
        "limits": lambda: measure_limits(weights, precision),
        "settings": lambda: measure_settings(weights),
        "pipeline": lambda: measure_pipeline(arguments.photos),
        "backbones": lambda: measure_backbones(arguments.photos),
        "notebook": lambda: measure_recipe("notebook", "notebook", arguments.photos, weights),
        "guide": lambda: measure_recipe("Keras' guide", "keras_guide", arguments.photos, weights),
        "growth": lambda: measure_growth(arguments.photos, arguments.growth),
    }
    for part in PARTS:
        if part in arguments.only:
            print(f"{part} …", flush=True)
            rows = list(measures[part]())
            print(pd.DataFrame(rows, columns=COLUMNS).to_string(index=False, float_format="%.4g"), flush=True)
            write_results(rows, PARTS[part])
    print(f"written to {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"error: {error}") from None
