"""Download one large file of known size and hash: resumed where it broke off, verified before it counts."""

import hashlib
import os
import re
import sys
import time
from pathlib import Path

import requests

from stages.lib.core.errors import UserError
from stages.lib.core.progress import Progress

# What is in flight when a connection breaks is lost, so no more than this many bytes at a time.
CHUNK = 64 * 1024


class _UnusableAnswerError(Exception):
    """An answer that asking again does not mend."""


def download(
    url: str,
    destination: Path,
    *,
    size: int,
    sha256: str,
    timeout: tuple[float, float] = (15.0, 60.0),
    attempts: int = 4,
    pause: float = 1.0,
) -> None:
    """Make ``destination`` the file of ``size`` bytes and hash ``sha256`` (hex) that ``url`` serves.

    The bytes gather in ``<destination>.partial``, from whose end the next attempt, or the next run, goes on. It is
    renamed to ``destination`` once size and hash are right. A partial file that is already complete is verified
    without a request, which is the way in for a machine without a network; a right ``destination`` is left as it is.

    ``timeout`` is how long to wait for a connection and for the next bytes, in seconds. ``attempts`` counts those in a
    row that get no further than any before; ``pause`` is the wait in seconds before the second, and doubles with each.

    Raises `UserError` where the server can't be reached, answers something else, or serves another file, and where
    the disk does not take the bytes. Only a partial file that is too large or has the wrong hash is removed.
    """
    if _length(destination) == size and _sha256(destination) == sha256:
        _say(f"{destination} is already there and has the right hash")
        return
    partial = destination.with_name(destination.name + ".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    if _length(partial) > size:
        _say(f"{partial} has {_length(partial):,} bytes, more than the {size:,} expected: removed, starting again")
        partial.unlink()

    _complete(url, partial, size, timeout, attempts, pause)

    found = _sha256(partial)
    if found != sha256:
        partial.unlink()
        raise UserError(
            f"{partial} had the right size and the wrong hash, and has been removed.\n"
            f"Expected sha256: {sha256}\nReceived sha256: {found}\n"
            f"Run the same command again to download it anew from {url}"
        )
    partial.replace(destination)


def _complete(url: str, partial: Path, size: int, timeout: tuple[float, float], attempts: int, pause: float) -> None:
    """Ask for what ``partial`` lacks until it has ``size`` bytes."""
    # The furthest ever, not the last: a server that ignores ranges and breaks off gets "further" from zero each time.
    furthest = _length(partial)
    failures = 0
    while _length(partial) < size:
        try:
            _receive(url, partial, size, timeout)
            trouble = "it ended too early"
        except _UnusableAnswerError as error:
            raise _failure(url, partial, size, str(error)) from error
        except requests.RequestException as error:
            trouble = str(_root_cause(error))
        except OSError as error:  # after RequestException, which is an OSError too
            raise UserError(f"cannot download {url} to {partial}: {error}.\n{_kept(partial, size)}") from error

        reached = _length(partial)
        if reached == size:
            return
        failures = 0 if reached > furthest else failures + 1
        furthest = max(furthest, reached)
        if failures >= attempts:
            raise _failure(url, partial, size, f"{trouble} ({attempts} attempts without progress)")
        wait = pause * 2 ** max(failures - 1, 0)
        _say(f"{url}: {trouble}; going on from byte {reached:,} in {wait:g} s")
        time.sleep(wait)


def _receive(url: str, partial: Path, size: int, timeout: tuple[float, float]) -> None:
    """Make one request, and append what comes to ``partial``, never beyond ``size`` bytes."""
    kept = _length(partial)
    # identity: a range counts the bytes that are sent, so they must be the file's own and not compressed ones
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={kept}-"} if kept else {})
    with requests.get(url, headers=headers, timeout=timeout, stream=True) as response:
        start = _first_byte(response, kept, size)
        with (
            partial.open("ab" if start else "wb") as file,
            Progress(total=size, initial=start, desc=partial.stem, unit="B", unit_scale=True) as bar,
        ):
            for chunk in response.iter_content(CHUNK):
                bar.update(file.write(chunk[: size - file.tell()]))
                if file.tell() == size:
                    break
            file.flush()
            os.fsync(file.fileno())  # or a power cut after the rename could leave a hole


def _first_byte(response: requests.Response, kept: int, size: int) -> int:
    """Say which byte of the file the answer begins with: ``kept``, or 0 where the server ignores ranges.

    Raises `requests.HTTPError` where the answer may be better next time, `_UnusableAnswerError` where it won't be.
    """
    status = response.status_code
    if status >= 500 or status in (408, 429):
        raise requests.HTTPError(f"it answered {status} {response.reason}")
    if status == 206:
        content_range = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", content_range)
        if not match or int(match[1]) != kept or match[2] not in (str(size), "*"):
            raise _UnusableAnswerError(
                f"asked for byte {kept} and on of {size}, it sent Content-Range: {content_range!r}"
            )
        return kept
    if status != 200:
        raise _UnusableAnswerError(f"it answered {status} {response.reason}")
    length = response.headers.get("Content-Length", str(size))
    if length != str(size):
        raise _UnusableAnswerError(f"it serves another file, of {length} bytes where {size} are expected")
    return 0


def _failure(url: str, partial: Path, size: int, trouble: str) -> UserError:
    return UserError(
        f"cannot download {url}: {trouble}.\n"
        f"{_kept(partial, size)}\n"
        f"Without a network here: fetch that URL on another machine, put the whole file at {partial}, and run the same "
        "command again: it is verified and used, and nothing is requested."
    )


def _kept(partial: Path, size: int) -> str:
    if not _length(partial):
        return "Nothing of it is here yet."
    return f"{_length(partial):,} of {size:,} bytes are kept in {partial}; the same command goes on from there."


def _root_cause(error: BaseException) -> BaseException:
    """Dig out what requests and urllib3 wrap several layers deep, such as 'Connection refused'."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _say(message: str) -> None:
    print(message, file=sys.stderr)
