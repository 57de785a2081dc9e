"""Each stage on drawn photos of 120 breeds: what it takes of the processor and of memory as the photos grow in number.

    python -m benchmarks.breeds [PHOTOS_A_BREED ...]

12, 42 and 167 a breed if not given. The stages run one by one, without DVC, with EfficientNet-Lite0 at 64 pixels, one
view a photo and few steps: what is asked is what grows, not how well it learns. Seconds are the processor's, of all
cores together, so that they are much the same on a machine that has other things to do.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.photographs import write_drawn
from benchmarks.pipeline import Clone, alone, bundled

BREEDS = [f"breed_{number:03}" for number in range(120)]
BACKBONE = "EfficientNetLite0"
CHANGES = {
    **alone(bundled(BACKBONE, 64, 4)),
    "augment.copies": 1,
    "train_scratch.steps": 60,
    "train_scratch.validate_every": 30,
    "transfer.steps": 100,
    "transfer.validate_every": 50,
    "finetune.steps": 40,
}
STAGES = (
    f"sources.efficientnet_lite_weights {BACKBONE}",
    "prepare",
    "augment",
    f"features {BACKBONE} photos",
    f"features {BACKBONE} views",
    "train_scratch plain",
    "train_scratch augmented",
    f"transfer {BACKBONE} plain",
    f"transfer {BACKBONE} augmented",
    f"finetune {BACKBONE}",
    "data_size",
    "label_errors",
    "predictions scratch",
    f"predictions {BACKBONE}",
    "evaluate",
    "explain",
    "report",
    "convert",
    "export",
    "predict ../photos --json",
)


def run_stage(folder: Path, stage: str) -> tuple[float, float]:
    """Run a stage in ``folder``: seconds of the processor, and the most memory that it held, in MiB.

    Raises `SystemExit` where it fails.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", *f"stages.{stage}".split()], cwd=folder, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"stages.{stage} failed in {folder}")
    unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss: bytes there, KiB on Linux
    return used.ru_utime + used.ru_stime, used.ru_maxrss / unit


def measure(photos: int) -> pd.DataFrame:
    """One row a stage: ``seconds`` and ``MiB``, with ``photos`` a breed."""
    with tempfile.TemporaryDirectory() as folder:
        write_drawn(BREEDS, Path(folder) / "photos", photos)
        clone = Clone(Path(folder) / "clone", {"data.source": str(Path(folder) / "photos"), **CHANGES})
        rows = {}
        for stage in STAGES:
            rows[stage] = run_stage(clone.folder, stage)
            print(f"{photos} a breed, {stage}: {rows[stage][0]:.1f} s, {rows[stage][1]:.0f} MiB", flush=True)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["seconds", "MiB"])


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.breeds", description=__doc__.splitlines()[0])
    parser.add_argument("photos", nargs="*", type=int, default=[12, 42, 167], help="photos a breed; 12 42 167")
    tables = {len(BREEDS) * photos: measure(photos) for photos in parser.parse_args().photos}
    print(pd.concat(tables, axis=1).round(1).to_string())


if __name__ == "__main__":
    main()
