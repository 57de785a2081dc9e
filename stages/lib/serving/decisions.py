"""The decisions of a person in a file, while several windows write to it."""

import shutil
from pathlib import Path

from filelock import FileLock

from stages.lib.core.errors import UserError
from stages.lib.core.hashes import hash_file
from stages.lib.core.outputs import whole_file
from stages.lib.images.folders import CHOSEN
from stages.lib.images.label_fixes import MOVE, LabelFix, read_label_fixes, write_label_fixes

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
            self.carry_out(fix, expected)
            write_label_fixes(self.path, [*decided.values(), *([fix] if fix else [])])
        return True

    def carry_out(self, fix: LabelFix | None, before: LabelFix | None) -> None:
        """What a decision does beside being written, where ``before`` was decided; here nothing: `prepare` does it."""


class Filing(Decisions):
    """Decisions about unlabelled photos: one that has a breed is copied into the breed's folder at once."""

    def __init__(self, path: Path, into: Path):
        super().__init__(path)
        self.into = into

    def _copy_of(self, fix: LabelFix) -> Path:
        # by what is in it, which is no other photo's name, and none that is too long
        return self.into / fix.breed / CHOSEN / f"{fix.sha256[:16]}{Path(fix.file).suffix}"

    def carry_out(self, fix: LabelFix | None, before: LabelFix | None) -> None:
        """Copy the photo; take away the copy that was made before, unless somebody has changed it since."""
        try:
            if fix is not None and fix.action == MOVE:
                with whole_file(self._copy_of(fix)) as partial:
                    shutil.copyfile(fix.file, partial)
            if before is not None and before.action == MOVE:
                copy = self._copy_of(before)
                if copy.exists() and hash_file(copy) == before.sha256:
                    copy.unlink()
        except OSError as error:
            raise UserError(f"{error.filename} could not be copied or taken away ({error.strerror}).") from None
