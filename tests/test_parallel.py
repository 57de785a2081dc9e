"""Many pieces of work at once: results in order, errors passed on, an end where a process dies or Ctrl-C is pressed."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from conftest import ROOT

from stages.lib.core.errors import UserError
from stages.lib.core.outputs import whole_file
from stages.lib.core.parallel import WORKERS, in_parallel, in_processes


def test_work_in_threads_keeps_the_order_of_the_items_and_passes_errors_on():
    assert in_parallel(lambda one, other: one * other, range(200), range(200), what="test") == [
        n * n for n in range(200)
    ]
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda item: 1 // item, [1, 0], what="test")


def wait_until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def meet(folder, number):
    (folder / str(number)).touch()
    wait_until((folder / str(1 - number)).exists)
    time.sleep(0.2 * number)
    return number


@pytest.mark.skipif(WORKERS < 2, reason="there is one processor")
def test_work_in_processes_is_done_at_once_and_keeps_the_order_of_the_tasks(tmp_path):
    assert in_processes([partial(meet, tmp_path, number) for number in (1, 0)], what="test", unit="task") == [1, 0]


def write_half(file, stumble):
    with whole_file(file) as half:
        half.touch()
        stumble()


@pytest.mark.parametrize(
    ("stumble", "error", "left"),
    [
        (partial(Path.unlink, Path("missing")), FileNotFoundError, []),
        (partial(signal.raise_signal, signal.SIGKILL), UserError, ["chart.png.partial"]),
    ],
)
def test_what_a_process_stumbles_over_is_raised_and_the_death_of_one_is_told(tmp_path, stumble, error, left):
    with pytest.raises(error):
        in_processes([partial(write_half, tmp_path / "chart.png", stumble)], what="test", unit="task")
    assert [file.name for file in tmp_path.iterdir()] == left


# starts two tasks, of which the first fails while the other writes a file
FAILING = """
import sys, time
from functools import partial
from pathlib import Path
from stages.lib.core.errors import UserError, run
from stages.lib.core.outputs import whole_file
from stages.lib.core.parallel import in_processes

def fail():
    raise UserError("no room")

def write():
    with whole_file(Path("slow.jpg")) as file:
        file.touch()
        Path("begun.jpg").touch()
        time.sleep(1)

run(partial(in_processes, [fail, write], what="test", unit="task"))
"""
STOPPED = "stopped: run it again to go on from the stages that are done\n"


@pytest.mark.parametrize(
    ("command", "times", "code", "told", "left"),
    [
        (["-m", "stages.sources.sample"], 1, 130, STOPPED, []),
        (["-m", "stages.sources.sample"], 2, 130, STOPPED, []),
        (["-c", FAILING], 1, 1, "error: no room\n", ["begun.jpg", "slow.jpg"]),
    ],
)
def test_ctrl_c_ends_all_processes_with_a_line_and_leaves_nothing_half(tmp_path, command, times, code, told, left):
    process = subprocess.Popen(
        [sys.executable, *command], cwd=tmp_path, text=True, start_new_session=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # which a job in the background of a shell ignores, and its children with it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        wait_until(lambda: process.poll() is not None or any(tmp_path.rglob("*.jpg")))
        time.sleep(0.2 if command[0] == "-c" else 0)  # it has failed by then, and waits for the other
        for _ in range(times):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.02)
        printed, complaint = process.communicate(timeout=60)
        assert (process.returncode, printed, complaint) == (code, "", told)
        assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == left
        with pytest.raises(ProcessLookupError):
            os.killpg(process.pid, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
