"""Headless Chromium for the tests of pages; they skip where it, or what drives it, is not here."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
CHROMIUMS_OWN = re.compile(r"(accounts|update|clients2|safebrowsing|optimizationguide-pa)\.(google|googleapis)\.com")


@contextmanager
def chromium(folder: Path, *options: str) -> Iterator[Any]:
    """A browser, whose ``log`` in ``folder`` has all that it asks of any network."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not here: requirements/app.txt has it"
    )
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    log = folder / "net.json"
    with playwright.sync_playwright() as driver:
        # its sandbox does not let root in
        arguments = ["--no-sandbox", f"--log-net-log={log}", *options]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=arguments)
        browser.log = log
        yield browser
        browser.close()
