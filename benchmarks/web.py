"""How fast the page without a server is in headless Chromium, and whether it answers as `stages.predict` does.

Alone   python -m stages.web PAGE
        python -m stages.predict PHOTOS --json --model PAGE/model.onnx > ANSWERS   (in the pipeline's environment)
        python -m benchmarks.web PAGE PHOTOS ANSWERS   (in the page's, requirements/app.txt); prints JSON

PHOTOS is a folder of photos as people have them: they are decoded and resized by the browser here, by Pillow there.
"""

import argparse
import contextlib
import functools
import json
import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

TOGETHER = 20  # photos at once
NEXT = 10  # photos one after the other, after the first
# what one worker of the page says of photos that the host has, by their numbers: [id, probabilities, familiarity]
ASK = """async (count) => {
  const worker = new Worker("answer.js", { type: "module" });
  const next = () => new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
  const { about } = await next();
  const said = [];
  for (let id = 0; id < count; id++) {
    const file = await (await fetch(`photos/${id}`)).blob();
    worker.postMessage({ id, file, size: [1, 1] });
    const { fault, probabilities, familiarity } = await next();
    said.push({ fault, probabilities, familiarity });
  }
  return { about, said };
}"""


class Quiet(SimpleHTTPRequestHandler):
    """A static host that counts the bytes of its answers, without their headers."""

    sent = 0

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def copyfile(self, source: Any, outputfile: Any) -> None:
        """Count on the way."""
        Quiet.sent += Path(source.name).stat().st_size
        super().copyfile(source, outputfile)


@contextlib.contextmanager
def host(folder: Path) -> Iterator[str]:
    """Serve ``folder`` to this machine, and give the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def ask(tab: Page, files: list[Path]) -> float:
    """Seconds from the choice of photos to the last one's answer."""
    tab.evaluate("document.querySelector('#answers').replaceChildren()")
    start = time.perf_counter()
    tab.set_input_files("#choose", [str(file) for file in files])
    tab.locator("#answers > *").nth(len(files) - 1).wait_for(timeout=600_000)
    return round(time.perf_counter() - start, 2)


def compare(expected: list[dict[str, Any]], about: dict[str, Any], said: list[dict[str, Any]]) -> dict[str, Any]:
    """The share of photos of which the page says what predict does: the breed, whether it is sure, and known at all."""
    equal, largest = 0, 0.0
    for answer, page in zip(expected, said, strict=True):
        shares = dict(zip(about["breeds"], page["probabilities"], strict=True))
        best = max(shares, key=lambda breed: shares[breed])
        known = about["familiarity_threshold"]
        unknown = known is not None and round(page["familiarity"], 6) < known
        sure = about["threshold"] is not None and round(shares[best], 6) >= about["threshold"]
        equal += (best, sure, unknown) == (answer["breeds"][0]["breed"], answer["sure"], answer["unknown"])
        largest = max(largest, *(abs(shares[row["breed"]] - row["probability"]) for row in answer["breeds"]))
    share = round(equal / len(said), 5)
    return {"photos": len(said), "equal_answers": share, "largest_difference_of_a_probability": round(largest, 6)}


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web", description=__doc__.splitlines()[0])
    for name in ("page", "photos", "answers"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    expected = json.loads(given.answers.read_text(encoding="utf-8"))
    files = [given.photos / Path(answer["photo"]).relative_to(given.photos) for answer in expected]
    found: dict[str, Any] = {}
    with sync_playwright() as driver, host(given.page) as address:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        start = time.perf_counter()
        tab.goto(address)
        tab.locator("#model dl").wait_for(timeout=120_000)
        found["cold_load_seconds"] = round(time.perf_counter() - start, 2)
        found["megabytes"] = round(Quiet.sent / 1e6, 1)
        found["first_answer_seconds"] = ask(tab, files[:1])
        found["next_answers_seconds"] = statistics.median(ask(tab, [file]) for file in files[1 : 1 + NEXT])
        found[f"{len(files[:TOGETHER])}_photos_seconds"] = ask(tab, files[:TOGETHER])
        before = Quiet.sent
        start = time.perf_counter()
        tab.reload()
        tab.locator("#model dl").wait_for(timeout=120_000)
        found["next_load_seconds"] = round(time.perf_counter() - start, 2)
        found["megabytes_of_next_load"] = round((Quiet.sent - before) / 1e6, 3)
        # no service worker here: the photos are not among the files that it keeps
        other = browser.new_context(service_workers="block").new_page()
        for number, file in enumerate(files):
            other.route(f"{address}photos/{number}", functools.partial(_give, file=file))
        other.goto(f"{address}about.json")
        answered = other.evaluate(ASK, len(files))
        found |= compare(expected, answered["about"], answered["said"])
        browser.close()
    print(json.dumps(found, indent=2))


def _give(route: Any, file: Path) -> None:
    route.fulfill(path=str(file))


if __name__ == "__main__":
    main()
