"""Outputs that are whole or not there: written beside their place, then renamed."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.lib.core.errors import FULL, UserError

LITTLE = 64 * 1024  # bytes: with no more room than that left, a disk is full


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _megabytes(count: float) -> str:
    return f"{count / 1e6:,.1f} MB"


def _tell_if_full(error: OSError, path: Path, partial: Path, files: int | None = None) -> None:
    """Raise `UserError` with what ``path`` would have needed if ``error`` says that the disk is full."""
    free = shutil.disk_usage(partial.parent).free
    # Pillow's encoders lose the system's number
    if error.errno not in FULL and not (error.errno is None and free < LITTLE):
        return
    sizes = [file.stat().st_size for file in (partial, *partial.rglob("*")) if file.is_file()]
    written = sum(sizes)
    needed = f"about {_megabytes(written / len(sizes) * files)}" if files and sizes else "more than that"
    raise UserError(
        f"no room on the disk for {path}: {_megabytes(written)} went in, and it needs {needed}; {_megabytes(free)} are "
        "free. Make room and run it again; nothing that was there before is lost."
    ) from None


def reserve_room(file: Path, size: int) -> None:
    """Take the room for the ``size`` bytes that ``file`` will have, before the long work of filling it.

    Raises `UserError` with what is needed where there is no room.
    """
    free = shutil.disk_usage(file.parent).free
    try:
        if hasattr(os, "posix_fallocate"):  # not on a Mac
            with file.open("r+b") as content:
                os.posix_fallocate(content.fileno(), 0, size)
        elif free < size:
            raise OSError(FULL[0], os.strerror(FULL[0]))
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise UserError(
            f"no room on the disk for {file}: it needs {_megabytes(size)}, and {_megabytes(free)} are free. Make room "
            "and run it again."
        ) from None


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, and rename it to ``path`` when the block ends without an exception.

    A killed run leaves ``<path>.partial`` at most, which Git and DVC ignore and the next run overwrites.

    Raises `UserError` where the disk is full.
    """
    partial = _beside(path)
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
    except BaseException as error:
        try:
            if isinstance(error, OSError):
                _tell_if_full(error, path, partial)
            raise
        finally:
            partial.unlink(missing_ok=True)
    partial.replace(path)


@contextmanager
def whole_folder(path: Path, files: int | None = None) -> Iterator[Path]:
    """Give an empty folder to fill, and rename it to ``path`` when the block ends without an exception.

    What stood at ``path`` before is replaced as a whole. ``files`` is how many there will be, to tell what room is
    needed where the disk is full.

    Raises `UserError` where the disk is full.
    """
    partial = _beside(path)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
    except BaseException as error:
        try:
            if isinstance(error, OSError):
                _tell_if_full(error, path, partial, files)
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    if path.exists():
        shutil.rmtree(path)
    partial.replace(path)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside ``path`` for what is needed while it is made; the folder goes when the block ends."""
    folder = path.with_name(path.name + ".scratch.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON with a closing newline; keys keep the order that they have."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
