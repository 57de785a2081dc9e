"""`dvc repro` is killed in the middle of every stage, or stopped with Ctrl-C, and goes on to the same results.

In full: KILLS=30 pytest -s -m slow tests/test_killed.py
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pipeline_fixtures import Repository, is_within, stages_run
from tiny_pipeline import STAGES, new_repository, tiny_params

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("KILLS", "2"))
AFTER_THE_STAGE = 1.2  # a moment may lie this far beyond a stage's seconds: where DVC saves its outputs
RUNNING = "Running stage '"
# files that DVC writes in place, and what it says next time of half of one
HALF_WRITTEN = {
    "dvc.lock": r"'\./dvc\.lock' (is invalid|validation failed)",
    ".dvc/tmp/rwlock": r"ERROR: Unable to read RWLock-file '\.dvc/tmp/rwlock'",
}
TELL_SECONDS = ["metrics/costs", "plots/costs.png", "plots/report.html"]


class Run:
    """`dvc repro` in a process group of its own, and when it announced each stage.

    It has no longer a life than its `with`: whatever a test finds wrong, nothing goes on training behind it.
    """

    def __init__(self, repository: Repository, *targets: str):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro", *targets], cwd=repository.root, text=True, start_new_session=True,
            env=repository.environment | {"PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            # which a job in the background of a shell ignores, and its children with it
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        self.lines = []
        self.announced = {}
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def read(self) -> None:
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line)
                if line.startswith(RUNNING):
                    self.announced[line.removeprefix(RUNNING).split("'")[0]] = time.monotonic()
                self.news.notify_all()

    def wait_for(self, stages: list[str]) -> str | None:
        """The first of ``stages`` that is announced, or None where all of them were done before."""

        def found() -> list[str]:
            return [stage for stage in stages if stage in self.announced]

        with self.news:
            assert self.news.wait_for(lambda: found() or self.process.poll() is not None, timeout=1200)
        if self.process.poll() is not None:
            self.finish()
        return next(iter(found()), None)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that becomes true before the run comes to its end."""
        deadline = time.monotonic() + 1200
        while not holds():
            assert self.process.poll() is None, "".join(self.lines)
            assert time.monotonic() < deadline, "".join(self.lines)
            time.sleep(0.05)

    def press_ctrl_c(self) -> int:
        """Interrupt DVC and all that it started, as a terminal does, and give DVC's exit code."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.finish()

    def kill(self) -> bool:
        """Kill DVC and all that it started; False if it had come to its end before."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.finish() == -signal.SIGKILL

    def finish(self) -> int:
        self.reader.join(timeout=1200)
        assert not self.reader.is_alive()
        return self.process.wait()


def params_with_many_looks() -> dict:
    """Tiny settings, with trainings long enough to be killed between two looks at val."""
    params = tiny_params()
    for section in ("train_scratch", "transfer", "finetune"):
        params[section] |= {"steps": 60, "validate_every": 4, "patience": 15}
    return params


def remove_what_is_half_written(repository: Repository) -> None:
    """What docs/experiments.md tells to do where DVC was killed while it wrote one of its own files."""
    while True:
        status = subprocess.run(
            [sys.executable, "-m", "dvc", "status", "prepare"],
            cwd=repository.root, env=repository.environment, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        if status.returncode == 0:
            return
        half = [file for file, told in HALF_WRITTEN.items() if re.match(told, status.stderr)]
        assert half, status.stderr
        (repository.root / half[0]).unlink()


def results(root: Path) -> dict[str, bytes]:
    """All that the pipeline made, but for the seconds that it took, and the chart and the page that tell them."""
    made = {}
    data = ("activations", "augmented", "features", "prepared", "prepared_unknown")
    for place in ("metrics", "plots", "models", *(f"data/{name}" for name in data)):
        for path in sorted((root / place).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.is_file() and not is_within(name, TELL_SECONDS):
                made[name] = path.read_bytes()
    return made


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What a run that nobody kills makes, and the seconds from each stage's start to the next's."""
    root = tmp_path_factory.mktemp("undisturbed")
    with Run(new_repository(root, params_with_many_looks())) as run:
        assert run.finish() == 0, "".join(run.lines)
    starts = [*run.announced.values(), time.monotonic()]
    seconds = {stage: end - start for stage, start, end in zip(run.announced, starts, starts[1:], strict=False)}
    assert list(seconds) == STAGES
    return results(root), seconds


def test_a_pipeline_that_is_killed_again_and_again_ends_with_the_same_bytes(undisturbed, tmp_path):
    expected, seconds = undisturbed
    generator = random.Random(2)
    kills, gone_on = [], 0
    while len(kills) < KILLS:
        root = tmp_path / str(len(kills))
        root.mkdir()
        repository = new_repository(root, params_with_many_looks())
        chosen = sorted(generator.sample(STAGES, min(KILLS - len(kills), len(STAGES))), key=STAGES.index)
        for stage in chosen:
            remove_what_is_half_written(repository)
            with Run(repository) as run:
                # a kill that came late may have let the stage pass that this one was meant for
                reached = run.wait_for(STAGES[STAGES.index(stage) :])
                if reached is None:
                    break
                share = generator.uniform(0, AFTER_THE_STAGE)
                time.sleep(share * seconds[reached])
                if run.kill():
                    kills.append(f"{reached} at {share:.0%}")
            gone_on += sum(line.startswith("going on from") for line in run.lines)
        remove_what_is_half_written(repository)
        with Run(repository) as last:
            assert last.finish() == 0, "".join(last.lines)
        gone_on += sum(line.startswith("going on from") for line in last.lines)
        made = results(root)
        assert made.keys() == expected.keys()
        assert [name for name in expected if made[name] != expected[name]] == []
        assert [path for path in root.rglob("*.partial") if ".dvc" not in path.parts] == []
        assert list(root.glob(".checkpoints/*")) == []
        assert stages_run(repository.dvc("repro").stdout) == set()
        print(f"\n{len(kills)} kills survived, {gone_on} trainings went on: {', '.join(kills)}", flush=True)


@pytest.mark.parametrize("file", HALF_WRITTEN)
def test_half_of_a_file_of_dvc_is_told_and_removed(file, tmp_path):
    repository = new_repository(tmp_path, tiny_params())
    repository.dvc("repro", "prepare")
    half = repository.root / file
    half.write_text(half.read_text()[:1])
    repository.dvc("status", "prepare", fails=True)
    remove_what_is_half_written(repository)
    assert stages_run(repository.dvc("repro", "prepare").stdout) == set()


def test_ctrl_c_says_what_is_kept_and_the_next_run_goes_on_from_there(tmp_path):
    params = tiny_params()
    params["train_scratch"] |= {"steps": 100_000, "validate_every": 4, "patience": 25_000}
    repository = new_repository(tmp_path, params)
    looks = []

    def last_look() -> list[int]:
        return [kept.stat().st_mtime_ns for kept in tmp_path.glob(".checkpoints/*.npz")]

    for going_on in (False, True):
        before = last_look()
        with Run(repository, "train_scratch@plain") as run:
            run.wait_until(lambda before=before: last_look() != before)
            assert run.press_ctrl_c() != 0
        said = "".join(run.lines)
        looks.append(
            int(re.search(r"^stopped: training up to look (\d+) at val is kept in \.checkpoints/", said, re.M)[1])
        )
        assert ("going on from" in said) == going_on
        assert "failed to reproduce 'train_scratch@plain'" in said
        assert "Traceback" not in said
        assert not (tmp_path / "models/scratch_plain.keras").exists()
    assert looks[1] > looks[0]
