"""The parts of `benchmarks.run`: each function measures one, and gives its rows."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import count, cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.photographs import read_photos, write_copies, write_splits
from benchmarks.pipeline import ROOT, Clone
from stages.lib.core import paths

CLASSIFIER = "EfficientNetLite2"  # whose transfer is what one wants who wants a classifier, and nothing compared
TARGET, MODEL = f"transfer@{CLASSIFIER}-plain", f"models/{CLASSIFIER}_transfer_plain.keras"
SPLITS = {"test": 0.25, "val": 0.1}
PREDICTED = 1000  # photos
SHORT = 1.0  # seconds of a stage, below which no exponent tells how they grow
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
Row = tuple[str, Any, str, Any]  # part, what, unit, value


def run_json(module: str, *arguments: object, folder: Path = ROOT, environment: dict[str, str] | None = None) -> Any:
    """Run a module of this folder in a process of its own, and read the JSON on its last line."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    variables = {**os.environ, **(environment or {})}
    finished = subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(finished.stdout.splitlines()[-1])


def rows_of(part: str, stages: pd.DataFrame) -> Iterator[Row]:
    """What `Clone.dvc` gives, without what does not apply."""
    for stage, values in stages.set_index("stage").iterrows():
        for unit, value in values.dropna().items():
            yield part, stage, str(unit), value


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


def measure_classifier(changes: dict[str, Any], seeds: list[int]) -> Iterator[Row]:
    """From photos to one good model, from an empty cache, once a seed: seconds (median), accuracy on test (mean)."""
    runs, accuracies = [], {}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            clone = Clone(Path(folder) / "clone", {**changes, "seed": seed})
            runs.append(clone.dvc(f"classifier, seed {seed}", "repro", TARGET))
            accuracies[seed] = run_json("accuracy", MODEL, folder=clone.folder)
    seconds = pd.concat(runs).groupby("stage", sort=False)["s"].median()
    yield from (("classifier", stage, "s", value) for stage, value in seconds.items())
    yield "classifier", "accuracy on test", "mean", np.mean(list(accuracies.values()))
    if len(accuracies) > 1:
        yield "classifier", "accuracy on test", "standard deviation", np.std(list(accuracies.values()), ddof=1)


def measure_default(clone: Clone, stages: pd.DataFrame) -> Iterator[Row]:
    """What `Clone.dvc` gave of a whole run in ``clone``, and pictures a second while it computed."""
    yield from rows_of("default", stages)
    for costs in (paths.FEATURE_COSTS, paths.TRAINING_COSTS):
        for file in sorted((clone.folder / costs).rglob("*.json")):
            measured = json.loads(file.read_text(encoding="utf-8"))
            what = file.relative_to(clone.folder / costs).with_suffix("").as_posix()
            yield "default, while it computes", what, "pictures/s", measured["pictures_per_second"]


def measure_input(clone: Clone) -> Iterator[Row]:
    """Pictures a second of what stages read, with no network to wait for."""
    for stage, rate in run_json("input", folder=clone.folder).items():
        yield "input", stage, "pictures/s", rate


def measure_notebook(photos: Path, weights: Path) -> Iterator[Row]:
    """Seconds an epoch of each of the notebook's trainings, and of all its epochs."""
    with tempfile.TemporaryDirectory() as folder:
        write_splits(read_photos(photos), Path(folder), {"test": SPLITS["test"]}, seed=1)
        measured = run_json("notebook", folder, weights)
    for training in measured:
        name, epochs, seconds = training["training"], training["epochs"], training["seconds"]
        yield "notebook", f"{name}, an epoch", "s", seconds
        yield "notebook", f"{name}, {epochs} epochs", "s", epochs * seconds
    yield "notebook", "total", "s", sum(training["epochs"] * training["seconds"] for training in measured)


def measure_peer(photos: Path, weights: Path, seeds: list[int]) -> Iterator[Row]:
    """Both trainings of stock Keras, run to their ends once for each of the seeds: medians, and accuracy's mean."""
    runs = []
    for seed in dict.fromkeys(seeds):
        with tempfile.TemporaryDirectory() as folder:
            write_splits(read_photos(photos), Path(folder), SPLITS, seed)
            runs.append(run_json("peer", folder, weights, seed))
            print(f"  peer, seed {seed}: {runs[-1]}", flush=True)
    for training in runs[0]:
        table = pd.DataFrame([run[training] for run in runs])
        yield "peer", training, "s", table["seconds"].median()
        yield "peer", training, "epochs", table["epochs"].median()
        yield "peer", training, "accuracy on test, mean", table["accuracy"].mean()
        if len(table) > 1:
            yield "peer", training, "accuracy on test, standard deviation", table["accuracy"].std(ddof=1)
    yield "peer", "total", "s", np.median([sum(training["seconds"] for training in run.values()) for run in runs])


def measure_answers(clone: Clone, times: int) -> Iterator[Row]:
    """One thing changed, or nothing, to DVC's end: medians of all seconds, and of those that DVC takes itself."""
    rate, dropout, numbers = "finetune.learning_rate", "transfer.dropout", count(1)

    def touch_charts(number: int) -> None:
        with (clone.folder / "stages/lib/reporting/charts.py").open("a", encoding="utf-8") as file:
            file.write(f"# {number}\n")

    def commit(_: int) -> None:  # an experiment starts from a commit
        command = ["git", "commit", "--all", "--quiet", "--allow-empty", "--message", "Changed"]
        subprocess.run(command, cwd=clone.folder, check=True)

    changes: list[tuple[str, Callable[[int], None], str]] = [
        (f"{rate}, to the report", lambda number: clone.set({rate: 5e-5 + number * 1e-6}), "repro report"),
        (f"{dropout}, to the report", lambda number: clone.set({dropout: 0.5 - number * 1e-3}), "repro report"),
        (f"{rate}, all of it", lambda number: clone.set({rate: 5e-5 + number * 1e-6}), "repro"),
        ("a chart", touch_charts, "repro"),
        ("nothing", lambda _: None, "repro"),
        (f"{rate}, to the report, as an experiment", commit, f"exp run --temp -S {rate}=4.{{:02}}e-5 report"),
    ]
    for what, change, command in changes:
        runs = []
        for number in islice(numbers, times):
            change(number)
            stages = clone.dvc(f"answers, {what}", *command.format(number).split())
            runs.append(stages.set_index("stage")["s"])
        yield "answers", what, "s", median(run["total"] for run in runs)
        yield "answers", what, "s, DVC itself", median(run["DVC"] for run in runs)


def seconds_to_predict(folder: Path, photos: Path) -> float:
    """Seconds of `python -m stages.predict`, its start included."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "stages.predict", str(photos), "--json"]
    subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measure_predict(clone: Clone, photos: Path, times: int) -> Iterator[Row]:
    """One photo, `PREDICTED` photos, and the runtime alone over as many pictures: medians."""
    files = [file for file in sorted(photos.glob("*/*")) if file.is_file()]
    with tempfile.TemporaryDirectory() as folder:
        for number, file in enumerate(islice(cycle(files), PREDICTED)):
            shutil.copy(file, Path(folder) / f"{number:04}{file.suffix}")
        one = [seconds_to_predict(clone.folder, files[0].resolve()) for _ in range(times)]
        rates = []
        for _ in range(times):
            rate = PREDICTED / seconds_to_predict(clone.folder, Path(folder))
            rates.append((rate, run_json("onnx_rate", paths.EXPORTED / "best.onnx", PREDICTED, folder=clone.folder)))
    yield "predict", "one photo", "s", median(one)
    yield "predict", f"{PREDICTED} photos", "photos/s", median(rate for rate, _ in rates)
    yield "predict", "onnxruntime alone", "photos/s", median(bare for _, bare in rates)
    yield "predict", f"{PREDICTED} photos", "share of onnxruntime alone", median(rate / bare for rate, bare in rates)


def measure_growth(photos: Path, times: list[int], every: int) -> Iterator[Row]:
    """The pipeline on copies of each ``every``th photo; for each stage the exponents that fit seconds and memory."""
    measured = {}
    taken = {breed: images[::every] for breed, images in read_photos(photos).items()}
    for factor in times:
        with tempfile.TemporaryDirectory() as folder:
            write_copies(taken, Path(folder) / "photos", factor)
            clone = Clone(Path(folder) / "clone", {"data.source": str(Path(folder) / "photos")})
            stages = clone.dvc(f"growth, {factor}x", "repro")
        yield from rows_of(f"growth, {factor}x", stages[["stage", "s", "MiB"]])
        measured[factor] = stages.set_index("stage")
    if len(times) < 2:
        return
    for stage in measured[times[0]].index.drop("DVC"):
        rows = pd.DataFrame([measured[factor].loc[stage, ["s", "MiB"]] for factor in times]).astype(float)
        if rows["s"].min() >= SHORT:
            yield "growth, exponents", stage, "exponent of seconds", fit_exponent(times, rows["s"])
            yield "growth, exponents", stage, "exponent of memory", fit_exponent(times, rows["MiB"])


def fit_exponent(times: list[int], values: pd.Series) -> float:
    """The exponent b of the power a * times ** b that fits ``values`` best."""
    return float(np.polyfit(np.log(times), np.log(values), 1)[0])
