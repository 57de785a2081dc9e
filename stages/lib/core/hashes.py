"""What tells whether a file is the same."""

import hashlib
from pathlib import Path


def hash_file(path: Path) -> str:
    """The sha256 of a file, in hexadecimal; raises `FileNotFoundError` where there is none."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
