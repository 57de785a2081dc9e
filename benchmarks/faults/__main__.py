"""Put the faults of many Keras projects back into the recipe, one at a time, and measure what each does to the numbers.

    python -m benchmarks.faults --photos FOLDER [--seeds 1 2 3 4 5] [--only FAULT ...]

FOLDER has one sub-folder a breed. Each fault is a module beside this one, whose docstring says what it patches;
networks train as params.yaml says. The weights are the bundled ones, out of data/weights: `dvc repro data/dvc.yaml`
makes what is missing. All outcomes go to benchmarks/faults.csv, where those of faults that are not measured again stay,
the pictures to docs/faults, and the rows of the tables in docs/faults.md are printed.
"""

import argparse
import time
from pathlib import Path

import pandas as pd

from benchmarks.faults import (
    going_on,
    leaking_views,
    moving_batch_norm,
    near_duplicates,
    one_split,
    scaled_pixels,
    shuffled_matrix,
    squashing,
    steering_by_test,
)
from benchmarks.faults.drawing import draw_fault, draw_splits
from benchmarks.faults.outcomes import Outcome, spread, summarise, to_markdown
from benchmarks.faults.photos import Photographs
from stages.lib.core.errors import run
from stages.lib.core.outputs import whole_file
from stages.lib.core.params import load_params

FAULTS = {
    module.__name__.rpartition(".")[2]: module
    for module in (
        scaled_pixels,
        shuffled_matrix,
        steering_by_test,
        near_duplicates,
        leaking_views,
        going_on,
        moving_batch_norm,
        squashing,
        one_split,
    )
}
MEASURED = Path("benchmarks/faults.csv")
PICTURES = Path("docs/faults")


def keep(outcomes: pd.DataFrame, file: Path) -> pd.DataFrame:
    """Put ``outcomes`` in the place of those of the same faults in ``file``; return all, in the order of `FAULTS`."""
    if file.exists():
        before = pd.read_csv(file)
        outcomes = pd.concat([before[~before["fault"].isin(outcomes["fault"])], outcomes])
    place = {fault: number for number, fault in enumerate(FAULTS)}
    outcomes = outcomes.sort_values("fault", key=lambda names: names.map(place), kind="stable")
    with whole_file(file) as partial:
        outcomes.to_csv(partial, index=False, float_format="%.6f")
    return outcomes


def main() -> None:
    """Measure what is asked for, keep it as soon as it is measured, and print the tables of all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER", help="one sub-folder a breed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument(
        "--only", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="FAULT", help=", ".join(FAULTS)
    )
    arguments = parser.parse_args()
    photographs = Photographs(arguments.photos, load_params())
    outcomes = pd.DataFrame(columns=Outcome._fields)
    for fault in arguments.only:
        start = time.perf_counter()
        measured = pd.DataFrame(FAULTS[fault].measure(photographs, arguments.seeds), columns=Outcome._fields)
        outcomes = keep(measured, MEASURED)
        print(f"{fault}: {time.perf_counter() - start:.0f} s", flush=True)
        of_one = measured["fault"] == "one_split"
        for table in (summarise(measured[~of_one]), spread(measured[of_one])):
            print(table.round(4).to_string(index=False) if len(table) else "", flush=True)
    for fault in outcomes["fault"].unique():
        draw = draw_splits if fault == "one_split" else draw_fault
        with whole_file(PICTURES / f"{fault}.png") as partial:
            draw(outcomes[outcomes["fault"] == fault]).savefig(partial, dpi=110, format="png")
    print("\n".join(to_markdown(outcomes)))


if __name__ == "__main__":
    run(main)
