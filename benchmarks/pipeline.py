"""DVC in a clone of this repository, watched: what each stage takes, and what DVC takes itself."""

import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
POLL = 0.2  # seconds
# the stages' `python` shall be this one
ENVIRONMENT = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def bundled(network: str, image_size: int, finetune_layers: int) -> dict[str, Any]:
    """A section of `backbones` in params.yaml, with weights that come with pip."""
    weights = f"data/weights/{network}-bundled.weights.h5"
    return {"network": network, "weights": weights, "image_size": image_size, "finetune_layers": finetune_layers}


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
    """A clone of what is committed, with an empty cache, and other params where ``changes`` says so."""

    def __init__(self, folder: Path, changes: dict[str, Any]):
        self.folder = folder
        self._changes: dict[str, Any] = {}
        # DVC's experiments are commits, which have an author
        author = ["-c", "user.name=benchmarks", "-c", "user.email=benchmarks@localhost"]
        subprocess.run(["git", "clone", "--quiet", *author, ROOT, folder], check=True)
        if changes:
            self.set(changes)

    def set(self, changes: dict[str, Any]) -> None:
        """Change params.yaml further, see `write_params`."""
        self._changes |= changes
        write_params(self.folder, self._changes)

    def dvc(self, what: str, *command: str) -> pd.DataFrame:
        """Run a command of DVC's: a row for each ``stage`` that ran, one for "DVC" and one for the "total".

        ``s`` is from the start of a stage's process to its end; what is left of the total is DVC's. ``CPU s`` is of all
        cores. ``MiB`` is the most that a stage's processes held together, looked at five times a second; what they
        share is counted once (proportional set size). ``with TensorFlow`` is 1 for a stage that loads it. What
        does not apply is missing. ``what`` is for the screen.

        Raises `SystemExit` where the command fails.
        """
        log = self.folder.with_name(f"{self.folder.name}.log")
        used_before, start = cpu_of_children(), time.perf_counter()
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "dvc", *command],
                cwd=self.folder,
                env=ENVIRONMENT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        watch = Watch(process.pid, what)
        failed = process.wait() != 0
        seconds = time.perf_counter() - start
        watch.stop()
        if failed:
            raise SystemExit(f"dvc {' '.join(command)} failed ({what}):\n{log.read_text(encoding='utf-8')[-2000:]}")
        stages = pd.DataFrame(watch.rows, columns=["stage", "s", "CPU s", "MiB", "with TensorFlow"])
        total = {"s": seconds, "CPU s": cpu_of_children() - used_before}
        total |= {"MiB": stages["MiB"].max(), "with TensorFlow": stages["with TensorFlow"].sum()}
        rest = [{"stage": "DVC", "s": seconds - stages["s"].sum()}, {"stage": "total", **total}]
        return pd.concat([stages, pd.DataFrame(rest)], ignore_index=True)


def cpu_of_children() -> float:
    """Seconds of the processor that processes which this one waited for, and theirs in turn, have had so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def stage_name(process: psutil.Process) -> str | None:
    """The stage and its arguments, such as "features VGG16", where ``process`` is one."""
    with suppress(psutil.NoSuchProcess):
        match process.cmdline():
            case [_, "-m", module, *arguments] if module.startswith("stages."):
                return " ".join([module.removeprefix("stages."), *arguments])
    return None


class Watch(threading.Thread):
    """Follows the stages, one after another, that a DVC with the process number ``pid`` starts: see `Clone.dvc`."""

    def __init__(self, pid: int, what: str):
        super().__init__(daemon=True)
        self.rows: list[dict[str, Any]] = []
        self._dvc, self._what = psutil.Process(pid), what
        self._stopped = threading.Event()
        self.start()

    def run(self) -> None:
        """Look for a stage, and follow it."""
        while not self._stopped.wait(POLL / 4):
            with suppress(psutil.NoSuchProcess):
                for process in self._dvc.children(recursive=True):  # a stage before the processes that it starts
                    if name := stage_name(process):
                        self._follow(process, name)
                        break

    def _follow(self, stage: psutil.Process, name: str) -> None:
        """Add to a new row what ``stage`` takes, until it ends."""
        print(f"  {self._what}: {name}", flush=True)
        start = stage.create_time() - psutil.boot_time()
        row = {"stage": name, "s": 0.0, "CPU s": 0.0, "MiB": 0.0, "with TensorFlow": 0}
        self.rows.append(row)
        running = True
        while running:
            with suppress(psutil.NoSuchProcess, OSError):
                self._look([stage, *stage.children(recursive=True)], row)
            try:
                stage.wait(POLL)
                running = False
            except psutil.TimeoutExpired:
                continue
        row["s"] = time.clock_gettime(time.CLOCK_BOOTTIME) - start

    def _look(self, processes: list[psutil.Process], row: dict[str, Any]) -> None:
        """Update a stage's row by what its processes take now."""
        memory, used = 0, 0.0
        for process in processes:
            memory += process.memory_full_info().pss
            used += sum(process.cpu_times()[:4])  # its own, and those of children that it waited for
            if not row["with TensorFlow"]:
                row["with TensorFlow"] = int("libtensorflow_cc" in Path(f"/proc/{process.pid}/maps").read_text())
        row["MiB"], row["CPU s"] = max(row["MiB"], memory / 2**20), max(row["CPU s"], used)

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self.join()
