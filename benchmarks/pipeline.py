"""`dvc repro` in a clone of this repository, watched: seconds and peak memory of each stage."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import psutil

ROOT = Path(__file__).resolve().parents[1]
POLL = 0.2  # seconds
DVC = [sys.executable, "-m", "dvc"]


class Clone:
    """A clone of what is committed, with an empty cache and its own ``data.source``."""

    def __init__(self, folder: Path, source: Path):
        self.folder = folder
        subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
        self.set("data", "source", json.dumps(str(source.resolve())))

    def set(self, section: str, key: str, value: str) -> None:
        """Change one line of params.yaml."""
        params = self.folder / "params.yaml"
        pattern = rf"(?ms)^({section}:\n(?:  .*?\n)*?  {key}: )\S+"
        text, count = re.subn(pattern, lambda match: match[1] + value, params.read_text(encoding="utf-8"))
        if count != 1:
            raise ValueError(f"params.yaml has {count} lines for {section}.{key}")
        params.write_text(text, encoding="utf-8")

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
