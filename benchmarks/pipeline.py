"""`dvc repro` in a clone of this repository, watched: seconds and peak memory of each stage."""

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
POLL = 0.2  # seconds
DVC = [sys.executable, "-m", "dvc"]


def bundled(network: str, image_size: int, finetune_layers: int) -> dict[str, Any]:
    """A section of `backbones` in params.yaml, with weights that come with pip."""
    weights = f"data/weights/{network}-bundled.weights.h5"
    return {"network": network, "weights": weights, "image_size": image_size, "finetune_layers": finetune_layers}


VGG16 = bundled("VGG16", 128, 3)


def alone(backbone: dict[str, Any]) -> dict[str, Any]:
    """The changes of params.yaml that leave one of `backbones`, and pictures no larger than it takes them."""
    name, size = backbone["network"], backbone["image_size"]
    sizes = {"data.image_size": size, "train_scratch.image_size": min(size, 128)}
    return {"backbones": {name: backbone}, "main_backbone": name, **sizes}


def write_params(folder: Path, changes: dict[str, Any]) -> None:
    """Write params.yaml to ``folder``, with other values for keys such as "data.source"."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        *section, name = key.split(".")
        (params[section[0]] if section else params)[name] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


class Clone:
    """A clone of what is committed, with an empty cache, and its own ``data.source`` and other params."""

    def __init__(self, folder: Path, source: Path, changes: dict[str, Any]):
        self.folder = folder
        self._changes = {"data.source": str(source.resolve()), **changes}
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        self.set({})

    def set(self, changes: dict[str, Any]) -> None:
        """Change params.yaml further, see `write_params`."""
        self._changes |= changes
        write_params(self.folder, self._changes)

    def repro(self, what: str) -> pd.DataFrame:
        """Run `dvc repro`: one row a stage that ran (stage, seconds, memory in MiB) and one for all of it, "total".

        The seconds of a stage run from DVC's naming it to DVC's naming the next, so they hold what DVC does, too. The
        memory is the largest sum over the stage's processes of what they hold in RAM, DVC's own left out, looked at
        five times a second; what processes share is counted once (proportional set size).
        """
        start = time.perf_counter()
        # the stages' `python` shall be this one
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        log = self.folder.with_name(f"{self.folder.name}.log")
        with log.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [*DVC, "repro"],
                cwd=self.folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PATH": path},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        watch = Watch(process.pid)
        marks = [("dvc, before the first stage", start)]
        for line in process.stdout or ():
            if match := re.match(r"Running stage '(.+)':", line):
                marks.append((match[1].split(":")[-1], time.perf_counter()))
                watch.stage = marks[-1][0]
                print(f"  {what}: {watch.stage}", flush=True)
        if process.wait() != 0:
            raise SystemExit(f"dvc repro failed ({what}):\n{log.read_text(encoding='utf-8')[-2000:]}")
        end = time.perf_counter()
        watch.stop()
        ends = [mark for _, mark in marks[1:]] + [end]
        rows = [(stage, until - since) for (stage, since), until in zip(marks, ends, strict=True)]
        table = pd.DataFrame([*rows, ("total", end - start)], columns=["stage", "seconds"])
        table["memory"] = [watch.peaks.get(stage, 0) / 2**20 for stage in table["stage"]]
        table.loc[table["stage"] == "total", "memory"] = max(watch.peaks.values(), default=0) / 2**20
        return table


class Watch:
    """A thread that notes, stage by stage, the most memory that the processes below ``pid`` hold."""

    def __init__(self, pid: int):
        self.stage = "dvc, before the first stage"
        self.peaks: dict[str, int] = {}
        self._dvc = psutil.Process(pid)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(POLL):
            total = 0
            for process in self._dvc.children(recursive=True) if self._dvc.is_running() else []:
                try:
                    memory = process.memory_full_info()
                except psutil.NoSuchProcess:
                    continue  # it ended between the two calls
                total += getattr(memory, "pss", memory.rss)  # Linux alone tells the former
            self.peaks[self.stage] = max(self.peaks.get(self.stage, 0), total)

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()
