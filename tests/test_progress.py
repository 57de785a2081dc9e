"""How far a step is: a bar on a terminal; in a log a line now and then, and none of what is done at once."""

import io
import re
import sys

import pytest

from stages.lib.core.parallel import in_parallel
from stages.lib.core.progress import Progress

STEPS = 40


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that is moved by hand, for tqdm's."""
    now = [1000.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    return now


@pytest.fixture
def told(monkeypatch, clock):
    """What a step of `STEPS` parts tells on stderr when each part takes so many seconds, and so many are done."""

    def tell(stderr: io.StringIO, seconds: float, done: int = STEPS, **options: object) -> str:
        monkeypatch.setattr(sys, "stderr", stderr)
        with Progress(desc="count", total=STEPS, unit="photo", **options) as bar:
            for _ in range(done):
                clock[0] += seconds
                bar.update()
        return stderr.getvalue()

    return tell


def test_in_a_log_there_is_a_line_every_ten_seconds_and_each_says_how_far_it_is(told):
    lines = told(io.StringIO(), seconds=2.5).splitlines()  # 100 s
    assert 9 <= len(lines) <= 11
    assert [line for line in lines if not re.fullmatch(r"count: \d+% \d+/40 \[\d\d:\d\d<\d\d:\d\d, .+\]", line)] == []
    assert len(set(lines)) == len(lines), "a line is told twice"
    assert lines[-1].startswith("count: 100% 40/40 [01:40<00:00, "), "the end is told, too"


def test_in_a_log_a_step_of_less_than_ten_seconds_leaves_no_line(told):
    assert told(io.StringIO(), seconds=0.2) == ""


def test_in_a_log_a_step_that_ends_early_tells_how_far_it_came(told):
    lines = told(io.StringIO(), seconds=2.5, done=9).splitlines()
    assert [line.split()[2] for line in lines] == ["4/40", "8/40", "9/40"]


def test_on_a_terminal_there_is_one_bar_that_is_written_over(told):
    written = told(Terminal(), seconds=2.5)
    assert written.count("\r") > 10
    assert written.count("\n") == 1
    assert written.rpartition("\r")[2].startswith("count: 100%|#")


def test_what_shall_tell_nothing_tells_nothing(told):
    assert told(Terminal(), seconds=2.5, disable=True) == ""


def test_a_log_has_no_control_characters(told):
    assert re.search(r"[\x00-\x09\x0b-\x1f]", told(io.StringIO(), seconds=3)) is None


def test_work_in_parallel_tells_how_far_it_is(monkeypatch):
    stderr = Terminal()
    monkeypatch.setattr(sys, "stderr", stderr)
    assert in_parallel(str, range(5), what="names") == list("01234")
    assert "names: 100%|" in stderr.getvalue()
