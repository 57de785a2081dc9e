"""Deleting files of a folder when they have been there for some time."""

import asyncio
import logging
import os
import time
from pathlib import Path

LOGGER = logging.getLogger(__name__)  # printing could fail, and end `keep_deleting_older`


def delete_older(folder: Path, seconds: float) -> None:
    """Delete the files below ``folder`` that were written more than ``seconds`` ago; the folders in it stay.

    One that can't be deleted now is told in the log, and the others are deleted all the same. Raises nothing where the
    folder is not there, or files come and go meanwhile.
    """
    oldest = time.time() - seconds
    for place, _, names in os.walk(folder):
        for name in names:
            file = Path(place, name)
            try:
                if file.lstat().st_mtime < oldest:
                    file.unlink()
            except FileNotFoundError:
                pass  # it was moved or deleted meanwhile
            except OSError as error:
                LOGGER.warning("%s can't be deleted now (%s); it is tried again", file, error.strerror)


async def keep_deleting_older(folder: Path, seconds: float, every: float) -> None:
    """Delete what is older than ``seconds`` every ``every`` seconds, without end: to be run as a task."""
    while True:
        await asyncio.sleep(every)
        await asyncio.to_thread(delete_older, folder, seconds)
