"""The page on which labels are decided: what it shows, what its keys do and what is saved, in a browser.

What needs Starlette or Chromium is skipped where there is none: requirements/app.txt has the former and what drives the
latter.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from chromium import chromium
from pipeline_fixtures import stages_run, write_shown
from tiny_pipeline import BACKBONE, new_repository, tiny_params
from tiny_pipeline import BREEDS as BREEDS_DRAWN

from stages import review
from stages.lib.core import paths
from stages.lib.core.errors import UserError, run
from stages.lib.core.params import load_params
from stages.lib.images.label_fixes import LabelFix, read_label_fixes, write_label_fixes
from stages.lib.serving import doubts
from stages.lib.serving.decisions import Decisions

BREEDS = ["Akita", "Borzoi", "Corgi"]
PHOTOS = 8  # a breed: the first five train, then one val and two test
SUSPICIOUS = [  # photo, split, suggested, quality, suggested_probability
    ("Akita/01.png", "train", "Borzoi", 0.01, 0.97),
    ("Corgi/02.png", "train", "Akita", 0.05, 0.91),
    ("Borzoi/05.png", "val", "Corgi", 0.2, 0.6),
]
HOSTILE = "Corgi/<img src=x onerror=document.title='x'> & \"q\".png"

needs_page = pytest.mark.skipif(
    find_spec("starlette") is None, reason="Starlette is not here: requirements/app.txt has it"
)


def split_of(number: int) -> str:
    return "train" if number < 5 else "val" if number == 5 else "test"


def digest(folder: Path, file: str) -> str:
    return hashlib.sha256((folder / "dogs" / file).read_bytes()).hexdigest()


@pytest.fixture
def folder(tmp_path, write_params, draw_photo):
    """What the stages leave: photos of three breeds, what is suspicious of them, near duplicates and a conflict."""
    write_params(tmp_path / "params.yaml", **{"data.source": "dogs", "main_backbone": "VGG16"})
    rows, features = [], {"train": [], "val": []}
    for label, breed in enumerate(BREEDS):
        for number in range(PHOTOS):
            file, split = f"{breed}/{number:02}.png", split_of(number)
            photo = draw_photo(100 * label + number, (90, 60))
            (tmp_path / "dogs" / breed).mkdir(parents=True, exist_ok=True)
            photo.save(tmp_path / "dogs" / file)
            picture = tmp_path / f"data/prepared/{split}/{file}.png"
            picture.parent.mkdir(parents=True, exist_ok=True)
            photo.resize((48, 48)).save(picture)
            rows.append((file, breed, split, len(rows), digest(tmp_path, file), 90, 60, file, breed, ""))
            if split != "test":
                features[split].append(np.eye(8)[label] + 0.1 * np.eye(8)[3 + number % 5])
    columns = [
        "file",
        "breed",
        "split",
        "group",
        "sha256",
        "width",
        "height",
        "source_file",
        "folder_breed",
        "label_fix",
    ]
    manifest = pd.DataFrame(rows, columns=columns).set_index("file", drop=False)
    for alike in (("Akita/04.png", "Corgi/04.png"), ("Akita/07.png", "Borzoi/07.png")):  # of train, and of test
        manifest.loc[list(alike), "group"] = manifest.loc[alike[0], "group"]
    manifest.to_csv(tmp_path / "data/prepared/manifest.csv", index=False)
    for breed in ("Akita", "Borzoi"):
        draw_photo(999).save(tmp_path / f"dogs/{breed}/whose.png")
    detail = "Akita/whose.png, Borzoi/whose.png"
    refused = [(f"{breed}/whose.png", breed, "same photo in two breeds", detail) for breed in ("Akita", "Borzoi")]
    refused.append(("Corgi/notes.txt", "Corgi", "not a picture", ""))
    listed = pd.DataFrame(refused, columns=["file", "breed", "reason", "detail"])
    listed.to_csv(tmp_path / "data/prepared/refused.csv", index=False)
    (tmp_path / "plots").mkdir()
    table = [(photo, split, photo.split("/")[0], *others) for photo, split, *others in SUSPICIOUS]
    names = ["photo", "split", "labelled", "suggested", "quality", "suggested_probability"]
    pd.DataFrame(table, columns=names).to_csv(tmp_path / "plots/suspicious_labels.csv", index=False)
    of_plain = tmp_path / "data/features/VGG16/plain"
    of_plain.mkdir(parents=True)
    for split, of_split in features.items():
        np.save(of_plain / f"{split}.npy", np.array(of_split, np.float32))
        shown = manifest[manifest["split"] == split]
        write_shown(of_plain, split, shown["file"], shown["group"])
    return tmp_path


def fixes(folder: Path) -> dict[str, str]:
    """What is decided, by file."""
    return {fix.file: fix.decision for fix in read_label_fixes(folder / "data/label_fixes.csv")}


# What is doubtful


def test_conflicts_come_first_then_near_duplicates_then_suspicious_labels_in_their_order(folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = doubts.list_doubts(load_params(), errors=False)
    assert [(doubt.kind, doubt.file, doubt.suggested) for doubt in found] == [
        ("conflict", "Akita/whose.png", "Borzoi"),  # once, as both copies are one photo
        ("duplicates", "Akita/04.png", "Corgi"),
        ("duplicates", "Corgi/04.png", "Akita"),
        ("suspicious", "Akita/01.png", "Borzoi"),
        ("suspicious", "Corgi/02.png", "Akita"),
        ("suspicious", "Borzoi/05.png", "Corgi"),
    ]
    assert (found[3].own, found[3].probability) == (0.01, 0.97)
    assert all(doubt.sha256 == digest(folder, doubt.file) for doubt in found)


def test_nearest_photos_are_of_both_breeds_and_neither_the_photo_nor_its_near_duplicate(folder, monkeypatch):
    monkeypatch.chdir(folder)
    found = doubts.Nearest("VGG16").find("Akita/04.png", ["Akita", "Corgi"])
    assert [photo.breed for photo in found] == ["Akita"] * 3 + ["Corgi"] * 3
    names = [photo.picture.relative_to(paths.PREPARED).as_posix() for photo in found]
    assert not {"train/Akita/04.png.png", "train/Corgi/04.png.png"} & {*names}
    assert all(photo.picture.exists() for photo in found)


def test_no_test_photo_is_doubted_and_blind_ones_are_all_of_test_with_no_opinion(folder, monkeypatch):
    monkeypatch.chdir(folder)
    test = {f"{breed}/{number:02}.png" for breed in BREEDS for number in (6, 7)}
    assert not test & {doubt.file for doubt in doubts.list_doubts(load_params(), errors=False)}
    blind = doubts.list_blind()
    assert {doubt.file for doubt in blind} == test
    assert [doubt.sha256 for doubt in blind] == sorted(doubt.sha256 for doubt in blind)
    assert {(doubt.suggested, doubt.own, doubt.probability, doubt.beside) for doubt in blind} == {("", None, None, ())}


def test_errors_of_the_best_model_on_val_are_added_on_wish_the_surest_first(folder, monkeypatch):
    monkeypatch.chdir(folder)
    params = load_params()
    val = [f"{breed}/05.png" for breed in BREEDS]
    for family, models in params.families.items():
        place = folder / "data/predictions" / family
        place.mkdir(parents=True)
        pd.DataFrame({"photo": val, "breed": BREEDS}).to_csv(place / "val.csv", index=False)
        (place / "models.json").write_text(json.dumps({model: {"breeds": BREEDS} for model in models}))
        for model in models:
            answers = np.array([[0.3, 0.7, 0], [0, 1, 0], [0.9, 0, 0.1]], np.float32)
            np.save(place / f"{model}.val.npy", answers)
            np.save(place / f"{model}.val.familiarity.npy", np.ones(3, np.float32))
    (folder / "metrics").mkdir()
    (folder / "metrics/evaluate.json").write_text(json.dumps({"best": "scratch_plain"}))
    found = [doubt for doubt in doubts.list_doubts(params, errors=True) if doubt.kind == "error"]
    assert [(doubt.file, doubt.suggested, round(doubt.own, 3)) for doubt in found] == [
        ("Corgi/05.png", "Akita", 0.1),
        ("Akita/05.png", "Borzoi", 0.3),
    ]


def test_where_prepare_refused_too_much_the_conflicts_can_be_decided_all_the_same(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "data/prepared.partial").mkdir()
    (folder / "data/prepared/refused.csv").rename(folder / "data/prepared.partial/refused.csv")
    shutil.rmtree(folder / "data/prepared")
    assert [doubt.kind for doubt in doubts.list_doubts(load_params(), errors=False)] == ["conflict"]


def call(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["it", *arguments])
    with pytest.raises(SystemExit) as stopped:
        run(review.main)
    return stopped.value.code, *capsys.readouterr()


def test_without_starlette_it_says_where_the_commands_are(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(review, "find_spec", lambda _: None)
    code, _, complaint = call(monkeypatch, capsys)
    assert (code, complaint) == (
        1,
        'error: Starlette and uvicorn are not installed here: docs/labels.md, "A page", tells how.\n',
    )


def test_what_the_stages_did_not_make_yet_is_told(tmp_path, write_params, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path / "params.yaml")
    with pytest.raises(UserError, match="run `dvc repro label_errors` first"):
        doubts.list_doubts(load_params(), errors=False)
    with pytest.raises(UserError, match="run `dvc repro prepare` first"):
        doubts.list_blind()


@needs_page
def test_where_all_is_decided_it_says_so_and_serves_nothing(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    found = doubts.list_doubts(load_params(), errors=False)
    write_label_fixes(folder / "data/label_fixes.csv", [LabelFix(each.sha256, each.file, "drop") for each in found])
    assert call(monkeypatch, capsys) == (0, "review: no label is left to look at\n", "")


# What is saved


def test_windows_that_write_at_once_lose_none_of_each_others_decisions(tmp_path):
    def decide(window: int) -> None:
        decisions = Decisions(tmp_path / "label_fixes.csv")
        for number in range(20):
            sha256 = hashlib.sha256(f"{window} {number}".encode()).hexdigest()
            assert decisions.replace(sha256, LabelFix(sha256, f"Akita/{window}-{number}.png", "keep"), None)

    windows = [threading.Thread(target=decide, args=(window,)) for window in range(4)]
    for window in windows:
        window.start()
    for window in windows:
        window.join()
    assert len(Decisions(tmp_path / "label_fixes.csv").read()) == 80


def test_who_is_slower_does_not_overwrite_a_decision(tmp_path):
    decisions, sha256 = Decisions(tmp_path / "label_fixes.csv"), "1" * 64
    first, second = LabelFix(sha256, "Akita/1.png", "keep"), LabelFix(sha256, "Akita/1.png", "drop")
    assert decisions.replace(sha256, first, None)
    assert not decisions.replace(sha256, second, None)
    assert decisions.read() == {sha256: first}
    assert decisions.replace(sha256, None, first)
    assert decisions.read() == {}


# The page in a browser


class Served:
    """The page, served by a process of its own."""

    def __init__(self, folder: Path, *arguments: str):
        self.log = (folder / "review.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stages.review", "--port", "0", *arguments],
            cwd=folder, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env={**os.environ, "PYTHONPATH": str(review.__file__).rpartition("/stages/")[0]},
        )  # fmt: skip
        line = self.process.stdout.readline()
        self.log.seek(0)
        assert "open http://127.0.0.1:" in line, self.log.read()
        self.photos, self.address = int(line.split()[0]), re.search(r"http://\S+", line)[0]

    def end(self, by: int = signal.SIGINT) -> None:
        self.process.send_signal(by)
        try:
            assert self.process.wait(30) == 0
            assert self.process.stdout.read() == "ended\n"
            self.log.seek(0)
            assert "Traceback" not in self.log.read()
        finally:
            self.process.kill()


@pytest.fixture
def serve(folder):
    pages = []

    def start(*arguments: str) -> Served:
        pages.append(Served(folder, *arguments))
        return pages[-1]

    pytest.importorskip("starlette", reason="Starlette is not here: requirements/app.txt has it")
    yield start
    for page in pages:
        page.end()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def visit(browser):
    """Open the page in a window of its own; it may load nothing from outside, nor go wrong."""
    tabs, asked, wrong = [], [], []

    def open_tab(address: str, **options):
        tab = browser.new_page(**{"viewport": {"width": 1300, "height": 900}} | options)
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("response", lambda response: wrong.append(response.url) if response.status >= 400 else None)
        tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.goto(address)
        tabs.append(tab)
        return tab

    yield open_tab
    for tab in tabs:
        tab.close()
    assert [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:"))] == []
    assert wrong == []


def press(tab, key: str) -> None:
    with tab.expect_navigation():
        tab.keyboard.press(key)


def question(tab) -> str:
    return tab.inner_text("h2")


def test_each_key_decides_and_the_next_photo_is_shown(folder, serve, visit):
    page = serve()
    tab = visit(page.address)
    assert (page.photos, question(tab)) == (6, "Akita or Borzoi?")
    assert "stands in the folders of both" in tab.inner_text(".decision")
    press(tab, "k")  # of the conflict: the other copy has to follow
    assert fixes(folder) == {"Akita/whose.png": "move to Akita"}
    press(tab, "d")
    press(tab, "s")
    assert fixes(folder) == {"Akita/whose.png": "move to Akita", "Akita/04.png": "drop"}
    assert "gives Akita 1.0 % and Borzoi 97.0 %" in " ".join(tab.inner_text(".decision").split())
    assert tab.locator(".beside img").count() == 6
    press(tab, "m")
    press(tab, "k")
    assert tab.locator("progress").evaluate("p => [p.value, p.max]") == [5, 6]
    tab.select_option("select", "Akita")
    press(tab, "m")
    assert fixes(folder) == {
        "Akita/whose.png": "move to Akita", "Akita/04.png": "drop", "Akita/01.png": "move to Borzoi",
        "Corgi/02.png": "keep", "Borzoi/05.png": "move to Akita",
    }  # fmt: skip
    assert question(tab) == "That was all."
    assert tab.locator("td").all_inner_texts() == ["2", "2", "1", "1"]
    assert tab.inner_text("pre") == "dvc repro\ndvc metrics diff"


def test_undo_takes_back_one_step_after_the_other(folder, serve, visit):
    tab = visit(serve().address)
    for key in "dds":
        press(tab, key)
    assert len(fixes(folder)) == 2
    press(tab, "u")  # the one that was skipped
    assert (len(fixes(folder)), question(tab)) == (2, "Corgi or Akita?")
    press(tab, "u")
    press(tab, "u")
    assert (fixes(folder), question(tab)) == ({}, "Akita or Borzoi?")
    assert tab.locator("button:has-text('ndo')").is_disabled()


def test_what_was_decided_is_asked_no_more_when_it_is_started_again(serve, visit):
    tab = visit(serve().address)
    press(tab, "s")
    press(tab, "d")
    again = serve()
    assert again.photos == 5
    assert "stands in the folders of both" in visit(again.address).inner_text(".decision")


def test_two_windows_share_what_is_decided_and_an_old_page_decides_nothing(folder, serve, visit):
    page = serve()
    one, other = visit(page.address), visit(page.address)
    press(one, "d")
    press(other, "k")
    assert fixes(folder) == {"Akita/whose.png": "drop"}
    assert "another window was faster" in other.inner_text("[role=status]")
    press(other, "d")
    press(one, "u")
    assert fixes(folder) == {"Akita/04.png": "drop"}, "each takes back its own"
    press(one, "k")
    one.go_back()
    assert "stands in the folders of both" not in one.inner_text(".decision"), "no old page is shown"


def test_the_browsers_own_keys_and_typing_in_the_list_decide_nothing(folder, serve, visit):
    tab = visit(serve().address)
    tab.keyboard.press("Control+d")
    tab.focus("select")
    tab.keyboard.press("c")
    assert tab.input_value("select") == "Corgi"
    assert fixes(folder) == {}
    with tab.expect_navigation():
        tab.keyboard.press("Enter")
    assert fixes(folder) == {"Akita/whose.png": "move to Corgi"}
    tab.uncheck("#keys")
    tab.keyboard.press("d")
    tab.reload()
    tab.keyboard.press("d")
    assert len(fixes(folder)) == 1


def test_it_works_by_tab_and_enter_alone_and_has_landmarks_and_names(folder, serve, visit):
    tab = visit(serve().address)
    seen = []
    for _ in range(6):
        tab.keyboard.press("Tab")
        seen.append(tab.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel"))
    assert seen[:4] == ["Keep Akita", "Drop the photo", "Skip", "Move to"]
    assert [tab.get_by_role(role).count() for role in ("banner", "main", "contentinfo", "progressbar")] == [1, 1, 1, 1]
    assert tab.get_by_role("region", name="Akita or Borzoi?").count() == 1
    assert tab.get_by_role("combobox", name="breed to move it to").count() == 1
    assert tab.locator("img:not([alt])").count() == 0
    assert tab.title() == "0 of 6: Akita?"
    tab.reload()
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    with tab.expect_navigation():
        tab.keyboard.press("Enter")
    assert fixes(folder) == {"Akita/whose.png": "drop"}


def test_test_photos_are_shown_without_any_opinion_and_it_says_why(folder, serve, visit):
    page = serve("--test")
    assert page.photos == 6
    tab = visit(page.address)
    assert "without any model's opinion" in tab.inner_text("header")
    assert re.fullmatch(r"\w+\?", question(tab))
    assert (tab.locator(".beside").count(), "%" in tab.inner_text("body")) == (0, False)
    assert tab.input_value("select") == ""
    tab.keyboard.press("m")
    assert fixes(folder) == {}
    assert tab.evaluate("document.activeElement.name") == "breed"
    tab.select_option("select", index=1)
    with tab.expect_navigation():
        tab.click("button[value=move]")
    assert len(fixes(folder)) == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1300])
def test_nothing_is_cut_off_wide_or_narrow_light_or_dark(serve, visit, width, scheme):
    tab = visit(serve().address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    for key in ("s", "s", "s", None):
        if key:
            press(tab, key)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        outside = "e => { const b = e.getBoundingClientRect(); return b.left < 0 || b.right > innerWidth + 0.5 }"
        assert tab.locator("body *").evaluate_all(f"all => all.filter({outside}).map(e => e.outerHTML)") == []
    if "SCREENSHOTS" in os.environ:
        tab.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"review-{width}-{scheme}.png", full_page=True)
    back = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (scheme == "light")


def test_a_name_is_shown_as_it_is_and_never_run(folder, serve, visit):
    (folder / "dogs/Akita/01.png").rename(folder / "dogs" / HOSTILE)
    listed = pd.read_csv(folder / "data/prepared/manifest.csv", keep_default_na=False)
    listed.loc[listed["file"] == "Akita/01.png", "source_file"] = HOSTILE
    listed.to_csv(folder / "data/prepared/manifest.csv", index=False)
    tab = visit(serve().address)
    for _ in range(3):
        press(tab, "s")
    assert tab.inner_text("figcaption") == HOSTILE
    press(tab, "d")
    assert HOSTILE in fixes(folder)


def test_a_photo_that_is_gone_is_said_and_can_be_skipped(folder, serve, visit):
    page = serve()
    (folder / "dogs/Akita/whose.png").unlink()
    tab = visit(page.address)
    assert "can't be read any more" in tab.inner_text(".photo")
    press(tab, "s")
    assert tab.locator(".photo img").count() == 1


@needs_page
def test_a_file_that_somebody_damaged_is_told_and_left_as_it_is(folder, serve):
    httpx = pytest.importorskip("httpx", reason="httpx is not here: requirements/app.txt has it")
    page = serve()
    damaged = "sha256,file,action,breed,note\nnonsense\n"
    (folder / "data/label_fixes.csv").write_text(damaged)
    with httpx.Client(base_url=page.address, follow_redirects=True, trust_env=False) as client:
        answer = client.get("/")
        assert (answer.status_code, "line 2: must have 5 cells" in answer.text) == (409, True)
        window = re.search('name="window" value="([^"]+)"', answer.text)[1]
        sent = client.post("/decide", data={"window": window, "place": "0", "action": "drop"})
        assert sent.status_code == 409
    assert (folder / "data/label_fixes.csv").read_text() == damaged


# What is refused


@pytest.fixture
def client(serve):
    httpx = pytest.importorskip("httpx", reason="httpx is not here: requirements/app.txt has it")
    with httpx.Client(base_url=serve().address, trust_env=False, timeout=30) as client:
        yield client


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}])
def test_no_other_page_and_no_other_name_decides_anything(client, folder, headers):
    window = client.get("/").headers["location"].partition("=")[2]
    client.get(f"/?window={window}")
    sent = {"window": window, "place": "0", "action": "drop"}
    assert client.post("/decide", data=sent, headers=headers).status_code in (400, 403)
    assert not (folder / "data/label_fixes.csv").exists()
    assert client.post("/decide", data=sent).status_code == 303
    assert len(fixes(folder)) == 1


@pytest.mark.parametrize(
    "sent",
    [
        {}, {"place": "-1", "action": "drop"}, {"place": "99", "action": "drop"}, {"place": "0", "action": "shoot"},
        {"place": "0", "action": "move"}, {"place": "0", "action": "move", "breed": "../Cat"},
        {"place": "٠", "action": "drop"},
    ],
)  # fmt: skip
def test_a_decision_that_cannot_be_is_none(client, folder, sent):
    window = client.get("/").headers["location"].partition("=")[2]
    assert client.post("/decide", data={"window": window} | sent).status_code == 303
    assert not (folder / "data/label_fixes.csv").exists()


@pytest.mark.parametrize("path", ["/dogs/Akita/01.png", "/review.html.jinja", "/../params.yaml", "/docs"])
def test_nothing_else_is_given(client, path):
    assert client.get(path).status_code == 404
    assert client.post(path).status_code == 404


def test_nothing_is_loaded_from_anywhere_and_no_page_frames_it(client):
    headers = client.get("/", follow_redirects=True).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"


# The whole loop


@pytest.mark.slow
@pytest.mark.skipif("PIPELINE_PYTHON" not in os.environ, reason="PIPELINE_PYTHON is no python with requirements.txt")
def test_swapped_labels_are_found_mended_by_keyboard_and_told_of_in_the_report(tmp_path, visit):
    repository = new_repository(tmp_path / "repository", tiny_params(), os.environ["PIPELINE_PYTHON"])
    for number in range(10):
        breed, other = BREEDS_DRAWN[number % 3], BREEDS_DRAWN[(number + 1) % 3]
        photo = repository.root / f"photos/{breed}/{number:02}.jpg"
        photo.rename(repository.root / f"photos/{other}/{number:02} of {breed}.jpg")
    repository.dvc("repro", "report")
    repository.commit()
    before = pd.read_csv(repository.root / "data/prepared/manifest.csv")
    shown_to_nobody = before[before["split"] == "test"]["file"].str.contains(" of ").sum()
    page = Served(repository.root)
    tab = visit(page.address)
    moved = kept = 0
    while question(tab) != "That was all.":
        swapped = re.search(r" of (\w+)\.jpg", tab.inner_text("figcaption"))
        if swapped:
            tab.select_option("select", swapped[1])
        press(tab, "m" if swapped else "k")
        moved, kept = moved + bool(swapped), kept + (not swapped)
    page.end()
    assert moved >= 0.7 * (10 - shown_to_nobody)
    assert stages_run(repository.dvc("repro", "report").stdout) >= {"prepare", f"transfer@{BACKBONE}-plain", "report"}
    after = pd.read_csv(repository.root / "data/prepared/manifest.csv")
    assert (after["breed"] != after["folder_breed"]).sum() == moved
    assert before.set_index("source_file")["split"].to_dict() == after.set_index("source_file")["split"].to_dict()
    report = (repository.root / "plots/report.html").read_text(encoding="utf-8")
    told = report.partition("<h2>Labels that a person decided about</h2>")[2].partition("</table>")[0]
    counts = [sum(map(int, re.findall(r"<td>(\d+)</td>", row))) for row in told.split("<tr>")[2:]]
    assert counts == [kept, moved, 0]
    assert "log_loss" in repository.dvc("metrics", "diff").stdout
    assert "Running stage" not in repository.dvc("repro", "report").stdout


# Unlabelled photos


@pytest.fixture
def unlabelled(folder, draw_photo):
    """Three photos that `stages.label_next` chose."""
    (folder / "new").mkdir()
    rows = []
    for number, (guess, second) in enumerate((("Akita", "Corgi"), ("Borzoi", "Akita"), ("Corgi", "Borzoi"))):
        photo = folder / f"new/{number}.png"
        draw_photo(500 + number).save(photo)
        like = [f"data/prepared/train/{breed}/00.png.png" for breed in (guess, second)]
        rows.append((photo, guess, 0.5, second, 0.4, *like))
    columns = ["photo", "guess", "probability", "second", "second_probability", "like_guess", "like_second"]
    (folder / "label_next").mkdir()
    pd.DataFrame(rows, columns=columns).to_csv(folder / "label_next/photos.csv", index=False)
    return folder


def copies(folder: Path) -> list[str]:
    """Which of the unlabelled photos stand in a breed's folder."""
    digests = {hashlib.sha256(path.read_bytes()).hexdigest(): path.stem for path in (folder / "new").iterdir()}
    found = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "dogs").rglob("*.*")}
    places = {path.parent.relative_to(folder / "dogs"): digest for path, digest in found.items() if digest in digests}
    return sorted(f"{place.as_posix()}/{digests[digest]}" for place, digest in places.items())


def test_a_confirmed_photo_is_copied_into_its_breeds_folder_and_undone_it_is_gone(unlabelled, serve, visit):
    page = serve("--into", "dogs")
    tab = visit(page.address)
    assert (page.photos, question(tab), tab.inner_text("h1")) == (3, "Akita or Corgi?", "Which breed is it?")
    assert "gives Akita 50.0 % and Corgi 40.0 %" in " ".join(tab.inner_text(".decision").split())
    assert tab.locator(".beside img").count() == 2
    press(tab, "k")
    assert copies(unlabelled) == ["Akita/label_next/0"]
    tab.select_option("select", "Corgi")
    press(tab, "m")
    assert copies(unlabelled) == ["Akita/label_next/0", "Corgi/label_next/1"]
    press(tab, "d")
    assert question(tab) == "That was all."
    assert copies(unlabelled) == ["Akita/label_next/0", "Corgi/label_next/1"]
    assert "copied into the breed's folder in dogs" in tab.inner_text(".decision")
    press(tab, "u")
    press(tab, "u")
    assert copies(unlabelled) == ["Akita/label_next/0"]
    assert not (unlabelled / "data/label_fixes.csv").exists()
    assert len(list((unlabelled / "new").iterdir())) == 3, "they stay where they were"


@pytest.mark.usefixtures("unlabelled")
def test_an_unlabelled_photo_that_was_decided_is_asked_about_no_more(serve, visit):
    tab = visit(serve("--into", "dogs").address)
    press(tab, "k")
    assert serve("--into", "dogs").photos == 2


@needs_page
@pytest.mark.parametrize(
    ("into", "told"),
    [
        ("dogs", "`python -m stages.label_next FOLDER` first chooses"),
        ("new", "must be a folder with one sub-folder"),
        ("data", "is made by a stage"),
    ],
)
def test_where_there_is_nothing_to_label_or_nowhere_to_put_it_that_is_told(folder, monkeypatch, capsys, into, told):
    (folder / "new").mkdir()
    monkeypatch.chdir(folder)
    code, _, complaint = call(monkeypatch, capsys, "--into", into)
    assert code == 1
    assert told in complaint
