"""Files that have been there for some time are deleted, and all others stay, whatever else happens in the folder."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from stages.lib.serving import tidying
from stages.lib.serving.tidying import delete_older, keep_deleting_older


def write(path: Path, age: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def test_files_that_are_older_are_deleted_at_any_depth_and_others_and_folders_stay(tmp_path):
    old = [write(tmp_path / name, 61) for name in ("a/dog.jpg", "b/c/dog.jpg", "tmp0123")]
    young = [write(tmp_path / name, 30) for name in ("a/cat.jpg", "tmp4567")]
    delete_older(tmp_path, 60)
    assert [file for file in old if file.exists()] == []
    assert [file for file in young if not file.exists()] == []
    assert (tmp_path / "b/c").is_dir()


def test_a_folder_that_is_gone_is_no_fault(tmp_path, caplog):
    delete_older(tmp_path / "gone", 60)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("error", "told"),
    [(FileNotFoundError(2, "No such file"), []), (PermissionError(13, "Permission denied"), ["(Permission denied)"])],
)
def test_one_that_can_not_be_deleted_keeps_no_other_and_is_tried_again(tmp_path, monkeypatch, caplog, error, told):
    files = [write(tmp_path / f"{number}.jpg", 61) for number in range(3)]
    unlink = Path.unlink

    def refuse(self):
        if self == files[1]:
            raise error
        unlink(self)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        delete_older(tmp_path, 60)
    assert [file.exists() for file in files] == [False, True, False]
    lines = list(caplog.messages)
    assert len(lines) == len(told)
    assert [line for line, why in zip(lines, told, strict=True) if str(files[1]) not in line or why not in line] == []
    delete_older(tmp_path, 60)
    assert not files[1].exists()


def test_it_is_done_again_and_again_until_it_is_cancelled(tmp_path, monkeypatch):
    done = []
    monkeypatch.setattr(tidying, "delete_older", lambda *arguments: done.append(arguments))

    async def run():
        task = asyncio.create_task(keep_deleting_older(tmp_path, 60, every=0.01))
        while len(done) < 3:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(run(), 30))
    assert set(done) == {(tmp_path, 60)}
