"""Download the official archive of Stanford Dogs, which its authors give as 120 breeds and 20,580 photos.

Reads: nothing but the network. Without one, put the archive at ``data/stanford_dogs.tar.partial``: it is verified and
used as it is. (Not at ``data/stanford_dogs.tar``: DVC removes a stage's outputs before it runs the stage.)
Makes: ``data/stanford_dogs.tar``, verified by its SHA-256.
Alone: ``python -m stages.sources.stanford_dogs_archive``; stopped and run again, it goes on where it was.
"""

from stages.lib.core import paths
from stages.lib.core.errors import run
from stages.sources.download import download

URL = "http://vision.stanford.edu/aditya86/ImageNetDogs/images.tar"
SIZE = 793_579_520
SHA256 = "a443fc2f9a851aa1a7b8e4fa4af94b8459fce2c9f5a2f4dd4669cf9673a4ec58"


def main() -> None:
    """Download the archive and verify it."""
    download(URL, paths.STANFORD_DOGS_ARCHIVE, size=SIZE, sha256=SHA256)
    print(f"{SIZE:,} bytes, of the sha256 that they should have, in {paths.STANFORD_DOGS_ARCHIVE}")


if __name__ == "__main__":
    run(main)
