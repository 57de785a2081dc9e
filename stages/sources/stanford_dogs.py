"""Unpack the breeds that are asked for from the archive of Stanford Dogs.

Reads: ``data/stanford_dogs.tar``; ``data.stanford_dogs_breeds`` in params.yaml, where none means all.
Makes: ``data/stanford_dogs/<breed>/<photo>.jpg``.
Alone: ``python -m stages.sources.stanford_dogs``; with ``--list`` it prints the archive's breeds and makes nothing.
"""

import argparse
import re
import shutil
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from stages.lib.core import paths
from stages.lib.core.errors import UserError, run
from stages.lib.core.outputs import whole_folder
from stages.lib.core.params import load_params
from stages.lib.core.progress import Progress

# Images/n02089078-black-and-tan_coonhound/n02089078_1021.jpg: nothing else is read, so no name that is written can
# have a dot in front, a slash or a drive in it.
PHOTO = re.compile(r"Images/n[0-9]+-(?P<breed>[A-Za-z]+(?:[_-][A-Za-z]+)*)/(?P<file>n[0-9]+_[0-9]+\.jpg)")
LARGEST_PHOTO = 50_000_000  # bytes; one beyond it is no photo, and could fill the disk

Photos = dict[tuple[str, str], tarfile.TarInfo]  # by breed and file name


def unpack(archive: Path, folder: Path, breeds: Iterable[str]) -> dict[str, int]:
    """Make ``folder`` hold ``<breed>/<photo>.jpg`` for the ``breeds`` of ``archive``, all of them if none is named.

    A breed's name is that of its folder in the archive, such as ``Great_Pyrenees``; case does not matter, and spaces,
    underscores and hyphens are alike. Members that are not regular files named like a photo are left out.

    Gives the number of photos of each breed, by name. Raises `UserError` for a breed that the archive does not have,
    a photo larger than `LARGEST_PHOTO`, and an archive that is missing, broken or without photos; ``folder`` is then
    as it was.
    """
    with _open(archive) as tar:
        photos = _index(tar, archive)
        wanted = choose_breeds(breeds, {breed for breed, _ in photos})
        chosen = sorted((breed, file) for breed, file in photos if breed in wanted)
        with whole_folder(folder) as unpacked:
            for breed in wanted:
                (unpacked / breed).mkdir()
            for breed, file in Progress(chosen, desc="unpacking", unit=" photos"):
                content = tar.extractfile(photos[breed, file])
                assert content is not None  # as for a regular file
                with content as source, (unpacked / breed / file).open("xb") as target:
                    shutil.copyfileobj(source, target)
    return dict(Counter(breed for breed, _ in chosen))


def list_breeds(archive: Path) -> list[str]:
    """Give the names of the breeds in ``archive``, sorted; raises `UserError` as `unpack` does."""
    with _open(archive) as tar:
        return sorted({breed for breed, _ in _index(tar, archive)})


def choose_breeds(asked: Iterable[str], known: Iterable[str]) -> list[str]:
    """Give the ``known`` names that are ``asked`` for, sorted, each once; all of them where none is asked for.

    Raises `UserError` that names every unknown breed and the names closest to it.
    """
    by_key = {_key(breed): breed for breed in known}
    asked = list(asked)
    unknown = [breed for breed in asked if _key(breed) not in by_key]
    if unknown:
        raise UserError(
            "data.stanford_dogs_breeds must be breeds that the archive has photos of.\n"
            + "".join(f"Received: {breed!r}{_closest(breed, by_key)}\n" for breed in unknown)
            + "All their names: python -m stages.sources.stanford_dogs --list"
        )
    return sorted({by_key[_key(breed)] for breed in asked} or by_key.values())


def _key(breed: str) -> str:
    """Give what is left of a name when case, spaces, underscores and hyphens don't count."""
    return " ".join(re.split(r"[\s_-]+", breed.strip())).casefold()


def _closest(breed: str, by_key: dict[str, str]) -> str:
    # the cutoff is low so that "husky" finds Siberian_husky
    names = [by_key[key] for key in get_close_matches(_key(breed), by_key, cutoff=0.5)]
    return f"; closest: {', '.join(names)}" if names else ""


@contextmanager
def _open(archive: Path) -> Iterator[tarfile.TarFile]:
    if not archive.is_file():
        raise UserError(f"{archive} is not there; python -m stages.sources.stanford_dogs_archive downloads it")
    largest = archive.stat().st_size

    class Member(tarfile.TarInfo):
        def _block(self, count: int) -> int:
            # a negative size would send Python 3.11's tarfile back to where it was, for ever (CVE-2025-8194)
            if not 0 <= count <= largest:
                raise tarfile.ReadError(f"a member of {count:,} bytes")
            return super()._block(count)  # type: ignore[misc]  # tarfile tells its types in public alone

    try:
        with tarfile.open(archive, "r:", tarinfo=Member) as tar:
            yield tar
    except tarfile.TarError as error:
        raise _broken(archive, str(error)) from error
    except (RecursionError, ValueError) as error:  # header within header without end; numbers that are none
        raise _broken(archive, f"{type(error).__name__}: {error}") from error


def _broken(archive: Path, trouble: str) -> UserError:
    return UserError(
        f"{archive} is broken: {trouble}.\n"
        "Remove it, and python -m stages.sources.stanford_dogs_archive downloads it anew"
    )


def _index(tar: tarfile.TarFile, archive: Path) -> Photos:
    """Find the photos in ``tar``; a member that comes twice counts as it came last, as for any tar.

    A sparse member is left out: a few bytes of it may unpack to any number.
    """
    members = tar.getmembers()
    if members:
        _check_end(archive, members[-1])
    photos = {
        (match["breed"], match["file"]): member
        for member in members
        if member.isreg() and not member.issparse() and (match := PHOTO.fullmatch(member.name))
    }
    if not photos:
        raise UserError(f"{archive} holds no photo named like Images/n02096177-cairn/n02096177_1000.jpg")
    for member in photos.values():
        if member.size > LARGEST_PHOTO:
            raise UserError(
                f"{archive}: a photo may have {LARGEST_PHOTO:,} bytes at most. "
                f"Received: {member.size:,} in {member.name}"
            )
    return photos


def _check_end(archive: Path, last: tarfile.TarInfo) -> None:
    """Refuse an archive without the block of zeros that closes it: at a damaged header, tarfile just stops."""
    blocks = -(-last.size // tarfile.BLOCKSIZE) if last.isreg() else 0
    with archive.open("rb") as file:
        file.seek(last.offset_data + blocks * tarfile.BLOCKSIZE)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise _broken(archive, f"it ends or is damaged after {last.name}")


def main() -> None:
    """Unpack the breeds that params.yaml names, or list all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--list", action="store_true", help="print the archive's breeds and make nothing")
    if parser.parse_args().list:
        print("\n".join(list_breeds(paths.STANFORD_DOGS_ARCHIVE)))
        return
    breeds = load_params().data.stanford_dogs_breeds
    counts = unpack(paths.STANFORD_DOGS_ARCHIVE, paths.STANFORD_DOGS, breeds)
    print(f"{sum(counts.values())} photos of {len(counts)} breeds in {paths.STANFORD_DOGS}")


if __name__ == "__main__":
    run(main)
