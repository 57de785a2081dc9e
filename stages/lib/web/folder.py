"""The folder of the page: its files, what there is to know of the model, and the list that the service worker keeps."""

import base64
import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from stages.lib.core.errors import UserError
from stages.lib.core.outputs import scratch_folder, whole_folder
from stages.lib.exporting.about import About
from stages.lib.web.runtime import add_runtime, install

PAGE = Path(__file__).parent / "page"
BEGINNING = b"const VERSION = "  # of service.js, by which an earlier page is known
MADE = {"model.onnx", "about.json", "onnxruntime.js", "onnxruntime.bin"}  # beside what is in `PAGE`


def _is_page(folder: Path) -> bool:
    """Whether ``folder`` is a page that `write_page` made."""
    about, service = folder / "about.json", folder / "service.js"
    return about.is_file() and service.is_file() and service.read_bytes().startswith(BEGINNING)


def check_place(folder: Path) -> None:
    """Raise `UserError` where ``folder`` has what no earlier page has: it is replaced as a whole."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"{folder} is no folder: name one that is not there, or that has an earlier page.")
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    strange = sorted(names - MADE - {path.name for path in PAGE.iterdir()} if _is_page(folder) else names)
    if strange:
        raise UserError(
            f"{folder} has {strange[0]}, which is of no earlier page, and would be lost: name a folder that is not "
            "there, that is empty, or that has an earlier page."
        )


def tell_about(about: About, side: int, max_pixels: int, scores: dict[str, Any] | None) -> dict[str, Any]:
    """What the page has to know of the model, beside its network.

    Args:
        about: what stands in the exported file.
        side: pixels a side of the pictures that it takes.
        max_pixels: a photo with more is refused.
        scores: "photos", "drawn", "accuracy", "low" and "high" of the test photos; None where nothing tells of it.
    """
    known = {"breeds", "resize", "prepared_size", "threshold", "familiarity_threshold"}
    return {**about.model_dump(include=known), "side": side, "max_pixels": max_pixels, "scores": scores}


def _version(folder: Path) -> str:
    """A hash of all that is in ``folder``."""
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _hashes(folder: Path) -> dict[str, str]:
    """What a browser checks each file of ``folder`` by; "." is index.html, for which some hosts have no other name."""
    names = {file: "." if file.name == "index.html" else file.name for file in sorted(folder.iterdir())}
    digests = {name: hashlib.sha256(file.read_bytes()).digest() for file, name in names.items()}
    return {name: f"sha256-{base64.b64encode(digest).decode()}" for name, digest in digests.items()}


def _add_lists(folder: Path) -> None:
    """Put above the service worker what it has to know of ``folder``."""
    service, page = folder / "service.js", (folder / "index.html").read_text(encoding="utf-8")
    policy = re.findall(r'"Content-Security-Policy" content="([^"]*)"', page)[0]
    files = {name: digest for name, digest in _hashes(folder).items() if name != service.name}
    lists = f"{BEGINNING.decode()}{json.dumps(_version(folder))};\nconst FILES = {json.dumps(files, indent=2)};\n"
    lists += f"const POLICY = {json.dumps(policy)};\n"
    service.write_text(lists + service.read_text(encoding="utf-8"), encoding="utf-8")


def write_page(folder: Path, model: bytes, about: dict[str, Any]) -> float:
    """Write the page to ``folder``, whole or not at all; an earlier one is replaced.

    Args:
        folder: where, see `check_place`.
        model: an .onnx file.
        about: see `tell_about`.

    Returns:
        megabytes that it has.

    Raises `UserError` as `install` does.
    """
    with scratch_folder(folder) as installed, whole_folder(folder) as made:
        install(installed)
        for file in PAGE.iterdir():
            shutil.copyfile(file, made / file.name)
        add_runtime(installed, made)
        (made / "model.onnx").write_bytes(model)
        (made / "about.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")
        megabytes = sum(file.stat().st_size for file in made.iterdir()) / 1e6
        index = made / "index.html"
        index.write_text(index.read_text(encoding="utf-8").replace("{megabytes}", f"{megabytes:.0f}"), encoding="utf-8")
        _add_lists(made)
    return megabytes
