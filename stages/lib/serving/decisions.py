"""The decisions of a person in data/label_fixes.csv, while several windows write to it."""

from pathlib import Path

from filelock import FileLock

from stages.lib.images.label_fixes import LabelFix, read_label_fixes, write_label_fixes

PATIENCE = 10  # seconds that a window waits for another to have written


class Decisions:
    """One file of decisions, by the photo's sha256; each is on disk, as a whole file, before the next is taken."""

    def __init__(self, path: Path):
        self.path = path
        self._lock = path.with_name(path.name + ".lock.partial")  # which Git and DVC ignore

    def read(self) -> dict[str, LabelFix]:
        """All decisions; raises `UserError` where somebody has damaged the file."""
        return {fix.sha256: fix for fix in read_label_fixes(self.path)}

    def replace(self, sha256: str, fix: LabelFix | None, expected: LabelFix | None) -> bool:
        """Decide about a photo, for None no more, if ``expected`` is what stands there.

        The file is read anew and written under a lock, so that another window's decisions stay. Returns whether it was
        written; raises `UserError` as `read` does, and `filelock.Timeout` where another process holds the lock.
        """
        with FileLock(self._lock, timeout=PATIENCE):
            decided = self.read()
            if decided.get(sha256) != expected:
                return False
            decided.pop(sha256, None)
            write_label_fixes(self.path, [*decided.values(), *([fix] if fix else [])])
        return True
