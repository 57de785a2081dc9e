"""How far a long step is: a bar on a terminal, elsewhere a line every ten seconds."""

import sys
from collections.abc import Callable
from typing import Any, TextIO

from tqdm import tqdm

EVERY = 10.0  # seconds between two lines where no terminal is attached
LINE = "{desc}: {percentage:.0f}% {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


def _print_lines(file: TextIO) -> Callable[[str], None]:
    def print_line(text: str) -> None:
        file.write(f"{text.strip()}\n")
        file.flush()

    return print_line


class Progress(tqdm):  # type: ignore[type-arg]  # tqdm takes none when it runs
    """`tqdm.tqdm` on stderr, for a terminal and for a log; its arguments are those of tqdm.

    In a log, a step that takes less than `EVERY` seconds leaves no line.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        self._in_log = sys.stderr is None or not sys.stderr.isatty()
        if sys.stderr is None:  # closed: there is nobody to tell
            kwargs = {**kwargs, "disable": True}
        elif not self._in_log:
            kwargs = {"mininterval": 1, **kwargs}
        else:
            kwargs = {"mininterval": EVERY, "delay": EVERY, "miniters": 1, "bar_format": LINE, **kwargs}
        super().__init__(*args, **kwargs)

    def close(self) -> None:
        """Tell the end, where it has not been told; tqdm would tell it twice, and leave an empty line in a log."""
        if self._in_log and not self.disable and self.last_print_t >= self.start_t + (self.delay or 0):
            if self.last_print_n < self.n:
                self.display()
            self.last_print_t = float("-inf")  # of a bar that has told nothing, tqdm tells nothing
        super().close()

    @staticmethod
    def status_printer(file: Any) -> Callable[[str], None]:
        """What writes the bar: in place on a terminal, a line of its own elsewhere."""
        return tqdm.status_printer(file) if file.isatty() else _print_lines(file)
