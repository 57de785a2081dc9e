"""The page that needs no server: what it is made of, what it says in a browser, and what it asks of the network.

What needs Node or Chromium is skipped where there is none; requirements/app.txt has what drives the latter.
"""

import functools
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnx
import pytest
from chromium import CHROMIUMS_OWN, chromium
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from pipeline_fixtures import ROOT

from stages import predict, web
from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.core.errors import UserError
from stages.lib.exporting.about import INPUT, About
from stages.lib.exporting.exported import load_exported
from stages.lib.exporting.onnx_files import label_onnx
from stages.lib.serving.trained_models import NONE_OF_THESE, Threshold
from stages.lib.web import quantised, runtime
from stages.lib.web.folder import PAGE, check_place

BREEDS = ["Cairn", "Grand Bleu de Gascogne", "Löwchen", "Mudi", "Puli", "Pumi"]  # red, green and blue to the network
PREPARED, SIDE = 48, 32  # pixels
MAX_PIXELS = 51_000_000
KNOWN = np.linspace(0.5, 1, 39).round(6).tolist()
FAMILIAR, SURE = 0.6, 0.8  # thresholds: grey reaches neither, what is red and green the former alone
HOSTILE = "<img src=x onerror=document.title='x'> ${y} 'a\" &amp;.png"
needs_node = pytest.mark.skipif(shutil.which("npm") is None, reason="there is no Node here, with npm")


def by_colour() -> bytes:
    """A network that tells colours apart, and to which grey is unlike each of them: its cosine to them is 0.58."""
    towards = np.zeros((3, len(BREEDS)), np.float32)
    np.fill_diagonal(towards, 1)
    constants = {"whole": np.float32([255]), "towards": towards, "steep": np.float32([8]), "tiny": np.float32([1e-6])}
    nodes = [
        helper.make_node("ReduceMean", [INPUT], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Div", ["mean", "whole"], ["colour"]),
        helper.make_node("MatMul", ["colour", "towards"], ["alike"]),
        helper.make_node("Mul", ["alike", "steep"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [PROBABILITIES], axis=1),
        helper.make_node("ReduceL2", ["colour"], ["length"], axes=[1], keepdims=1),
        helper.make_node("Add", ["length", "tiny"], ["some"]),
        helper.make_node("Div", ["colour", "some"], ["direction"]),
        helper.make_node("ReduceMax", ["direction"], [FAMILIARITY], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes, "it",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info(FAMILIARITY, TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["n", len(BREEDS)]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8).SerializeToString()


ABOUT = About(
    model="scratch_plain", keras_sha256="0" * 64, licence="none", description="colours", breeds=BREEDS, resize="crop",
    prepared_size=PREPARED, threshold=SURE, familiarity_threshold=FAMILIAR, known_familiarity=KNOWN, views=1,
)  # fmt: skip
SCORES = {"accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95}
SCORES |= {"threshold": SURE, "familiarity_threshold": FAMILIAR}
EVALUATION = {"best": "scratch_plain", "best_sha256": "0" * 64, "test_photos": 79, "drawn": True}
EVALUATION |= {"scratch_plain": SCORES, "views": 1}


def paint(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (90, 60), **options: object) -> Path:
    """A picture that fades from a colour to the right."""
    fading = np.linspace(1, 0.6, size[0])[None, :, None] * np.ones((size[1], 1, 3)) * colour
    Image.fromarray(fading.astype(np.uint8)).save(path, **options)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_params):
    """A repository with an exported model, and photos to ask about."""
    folder = tmp_path_factory.mktemp("web")
    for name in ("models/exported", "metrics", "photos"):
        (folder / name).mkdir(parents=True)
    (folder / "models/exported/best.onnx").write_bytes(label_onnx(by_colour(), ABOUT))
    (folder / "metrics/evaluate.json").write_text(json.dumps(EVALUATION))
    write_params(folder / "params.yaml", **{"data.max_pixels": MAX_PIXELS})
    photos = folder / "photos"
    paint(photos / "red.png", (255, 40, 0))
    paint(photos / "blue.jpg", (20, 60, 220), (60, 90))
    paint(photos / "grey.png", (128, 128, 128))
    paint(photos / "olive.png", (200, 190, 0))
    paint(photos / HOSTILE, (0, 250, 0))
    turned = Image.Exif()
    turned[0x0112] = 6
    left = np.zeros((60, 180, 3), np.uint8)
    left[:, 60:120] = (0, 0, 250)  # in the middle, and what is left of it once it stands upright
    left[:30, :60] = left[:30, 120:] = (250, 0, 0)
    Image.fromarray(left).save(photos / "turned.jpg", exif=turned, quality=95)
    frames = [Image.new("RGB", (50, 50), colour) for colour in ("red", "blue")]
    frames[0].save(photos / "moving.gif", save_all=True, append_images=frames[1:])
    see_through = Image.new("RGBA", (50, 50), (255, 0, 0, 128))
    see_through.save(photos / "see_through.png")
    frames[0].save(photos / "it.tiff")
    (photos / "notes.txt").write_text("no photo")
    (photos / "empty.jpg").touch()
    (photos / "short.jpg").write_bytes((photos / "blue.jpg").read_bytes()[:400])
    return folder


def run_module(name: str, expression: str, folder: Path, language: str = "en") -> str:
    """What Node says to an expression about ``it``, a module of the page."""
    shutil.copyfile(PAGE / f"{name}.js", folder / f"{name}.mjs")
    navigator = f"Object.defineProperty(globalThis, 'navigator', {{ value: {{ languages: ['{language}'] }} }});"
    code = f"{navigator} const it = await import('./{name}.mjs'); console.log({expression})"
    command = ["node", "--input-type=module", "-e", code]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8", check=True)
    return ran.stdout.removesuffix("\n")


# Words


@needs_node
def test_it_says_in_french_all_that_it_says_in_english_and_that_as_predict_does(tmp_path):
    told = run_module("words", "JSON.stringify(it.LANGUAGES, (key, value) => (value?.call ? 'f' : value))", tmp_path)
    words = json.loads(told)
    assert words["en"].keys() == words["fr"].keys()
    for word, text in words["en"].items():
        assert re.findall(r"{\d}", text) == re.findall(r"{\d}", words["fr"][word]), word
    assert words["en"]["none"] == NONE_OF_THESE
    assert words["en"]["unsure"].replace("{0}", "80.0%") == Threshold(0.8).in_words()
    assert words["en"]["neverSure"] == Threshold(None).in_words()


@needs_node
def test_french_keeps_its_marks_on_their_line_and_a_files_name_as_it_is(tmp_path):
    said = run_module("words", "it.say('fault', 'un « chien » : ici.png', it.say('damaged'))", tmp_path, "fr")
    assert said == "un « chien » : ici.png n’a pas été lue\u00a0: fichier abîmé."


# Formats


def written(picture: Image.Image, kind: str, **options: object) -> bytes:
    picture.save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


@needs_node
def test_a_photo_that_was_cut_short_is_known_by_its_format_whatever_is_behind_or_in_it(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8))
    exif = Image.Exif()
    exif[0x010E] = "\xff\xd8 as a small photo has it \xff\xd9".encode("latin-1")
    whole = {
        "JPEG": written(noise, "JPEG", exif=exif),
        "progressive": written(noise, "JPEG", progressive=True),
        "PNG": written(noise, "PNG"),
        "WEBP": written(noise, "WEBP"),
        "GIF": written(noise, "GIF"),
        "moving": written(noise, "GIF", save_all=True, append_images=[noise.rotate(90)], loop=0),
        "BMP": written(noise, "BMP"),
    }
    assert b"\xff\xd9" in whole["JPEG"][:300]
    film = bytes(20) + b"ftypmp42" * 100_000
    cases = {f"{name}, {case}": content for name, photo in whole.items() for case, content in (
        ("whole", photo), ("with a film behind", photo + film), ("half", photo[: len(photo) * 2 // 5]),
        ("nearly whole", photo[: len(photo) - 20]), ("hardly begun", photo[:16]),
    )}  # fmt: skip
    del cases["moving, nearly whole"]  # which has its first frame
    for number, content in enumerate(cases.values()):
        (tmp_path / f"{number}").write_bytes(content)
    files = f"[...Array({len(cases)}).keys()].map((n) => new Blob([fs.readFileSync(String(n))]))"
    expression = f"JSON.stringify(await Promise.all({files}.map(async (f) => it.isCutShort(f, await it.formatOf(f)))))"
    told = json.loads(run_module("formats", f"await import('node:fs').then(async (fs) => {expression})", tmp_path))
    assert dict(zip(cases, told, strict=True)) == {
        name: not name.endswith((", whole", ", with a film behind")) for name in cases
    }


# The folder


def an_earlier_page(folder: Path) -> Path:
    folder.mkdir()
    for name, content in {"index.html": "earlier", "about.json": "{}", "service.js": 'const VERSION = "1";'}.items():
        (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize("names", [["thesis.txt"], ["index.html", "page.css"], ["about.json", "service.js"]])
def test_a_folder_with_files_of_ones_own_is_left_alone(folder, tmp_path, run_stage, capsys, names):
    for name in names:
        (tmp_path / name).write_text("mine")
    assert run_stage(web.main, folder, str(tmp_path)) == 1
    assert f"has {names[0]}, which is of no earlier page, and would be lost" in capsys.readouterr().err
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys(names, "mine")


def test_a_file_of_ones_own_in_an_earlier_page_is_left_alone_too(tmp_path):
    page = an_earlier_page(tmp_path / "page")
    check_place(page)
    (page / "CNAME").write_text("dogs.example")
    with pytest.raises(UserError, match="has CNAME, which is of no earlier page"):
        check_place(page)


def test_without_npm_it_says_what_has_it_before_any_work_and_leaves_nothing(
    folder, tmp_path, run_stage, capsys, monkeypatch
):
    monkeypatch.setattr(runtime.shutil, "which", lambda _: None)
    monkeypatch.setattr(web, "choose", lambda *_: pytest.fail("photos were asked about"))
    assert run_stage(web.main, folder, str(tmp_path / "page")) == 1
    assert "error: npm is not here, which comes with Node" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_where_npm_fails_its_words_are_told_and_an_earlier_page_stays(folder, tmp_path, run_stage, capsys, monkeypatch):
    an_earlier_page(tmp_path / "page")
    npm = tmp_path / "bin/npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\necho 'npm error network' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent), prepend=os.pathsep)
    assert run_stage(web.main, folder, str(tmp_path / "page")) == 1
    assert "needs the npm registry for: npm error network" in capsys.readouterr().err
    assert (tmp_path / "page/index.html").read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "page"]


@needs_node
@pytest.mark.parametrize(
    ("model", "told"),
    [("it.tflite", "--model must be an .onnx file"), ("it.onnx", "it.onnx is not here: `dvc repro` makes it")],
)
def test_a_model_that_no_browser_reads_or_that_is_not_there_is_told(folder, tmp_path, run_stage, capsys, model, told):
    assert run_stage(web.main, folder, str(tmp_path / "page"), "--model", model) == 1
    assert told in capsys.readouterr().err


def test_the_quantised_model_is_taken_where_it_answers_alike_and_only_there(tmp_path, monkeypatch):
    pictures = [
        paint(tmp_path / f"{c}.png", (250 * (c == 0), 250 * (c == 1), 250 * (c == 2)), (48, 48)) for c in (0, 1, 2)
    ]
    content = label_onnx(by_colour(), ABOUT)
    alike = quantised.choose(content, ABOUT, SIDE, pictures)
    assert alike.why.startswith("8 bits: in 8 bits it answers 100.0% of 3 val photos as in float32")
    assert b"MatMulInteger" in alike.content
    (tmp_path / "quantised.onnx").write_bytes(alike.content)
    assert load_exported(tmp_path / "quantised.onnx").about == ABOUT
    another = onnx.load_model_from_string(by_colour())
    for each in another.graph.initializer:
        if each.name == "towards":
            each.CopyFrom(numpy_helper.from_array(np.roll(numpy_helper.to_array(each), 1, axis=1), "towards"))
    monkeypatch.setattr(quantised, "quantise", lambda *_: label_onnx(another.SerializeToString(), ABOUT))
    different = quantised.choose(content, ABOUT, SIDE, pictures)
    assert different.content == content
    assert different.why.startswith("float32: in 8 bits it answers 0.0% of 3 val photos as in float32")
    assert quantised.choose(content, ABOUT, SIDE, []).why.startswith("float32: without prepared val photos")


@pytest.mark.parametrize(("enough", "bits", "score"), [(1, "8 bits", None), (1.1, "float32", 0.9)])
def test_val_alone_chooses_and_what_is_known_by_test_is_told_of_the_exported_model_alone(
    folder, tmp_path, run_stage, capsys, monkeypatch, enough, bits, score
):
    repository = shutil.copytree(folder, tmp_path / "repository")
    for split, count in (("val", 2), ("test", 3)):
        (repository / "data/prepared" / split / "Cairn").mkdir(parents=True)
        for number in range(count):
            paint(repository / "data/prepared" / split / f"Cairn/{number}.png", (250, 0, 0), (48, 48))
    told = []
    monkeypatch.setattr(web, "check_npm", lambda: None)
    monkeypatch.setattr(web, "write_page", lambda _folder, _model, about: told.append(about["scores"]) or 1.0)
    monkeypatch.setattr(quantised, "ENOUGH", enough)
    assert run_stage(web.main, repository, str(tmp_path / "page")) == 0
    assert f"web: {bits}: in 8 bits it answers 100.0% of 2 val photos" in capsys.readouterr().out
    assert [scores and scores["accuracy"] for scores in told] == [score]


# In a browser


class Host(ThreadingHTTPServer):
    """A static host of a folder, which remembers what it was asked for; a pretty one hides index.html."""

    def __init__(self, folder: Path, pretty: bool = False):
        self.asked: list[str] = []
        host = self

        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                host.asked.append(self.path)

            def do_GET(self) -> None:
                if pretty and self.path == "/index.html":
                    self.send_response(308)
                    self.send_header("Location", "/")
                    self.end_headers()
                else:
                    super().do_GET()

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.address = f"http://127.0.0.1:{self.server_port}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def cut(self) -> None:
        self.shutdown()
        self.server_close()


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory, run_stage):
    """The page as `stages.web` writes it over an earlier one."""
    if shutil.which("npm") is None:
        pytest.skip("there is no Node here, with npm")
    made = an_earlier_page(tmp_path_factory.mktemp("made") / "page")
    assert run_stage(web.main, folder, str(made)) == 0
    assert [path.name for path in made.parent.iterdir()] == ["page"]
    return made


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    # a camera that shows a green picture, and may be used
    options = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    with chromium(tmp_path_factory.mktemp("browser"), *options) as browser:
        yield browser


def visit(browser, address: str, **options):
    """A tab of a visitor who was never here, once the model is there; nothing may go wrong in it."""
    context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, "locale": "en-GB"} | options)
    tab = context.new_page()
    tab.wrong = []
    tab.on("pageerror", lambda error: tab.wrong.append(str(error)))
    tab.on("console", lambda message: tab.wrong.append(message.text) if message.type == "error" else None)
    open_at(tab, address)
    return tab


def open_at(tab, address: str) -> None:
    tab.goto(address)
    tab.locator("#model dl").wait_for()


@pytest.fixture(scope="module")
def host(page):
    host = Host(page)
    yield host
    host.cut()


@pytest.fixture
def tab(browser, host):
    tab = visit(browser, host.address)
    yield tab
    tab.context.close()
    assert tab.wrong == []


def give(tab, *files: Path) -> None:
    """Choose files, and wait for what is said of all of them."""
    tab.set_input_files("#choose", [str(file) for file in files])
    wait_for(tab, len(files))


def wait_for(tab, count: int) -> None:
    tab.locator("#answers > *").nth(count - 1).wait_for(timeout=60_000)


def rows(tab, number: int) -> list[tuple[str, str]]:
    rows = tab.locator("#answers article").nth(number).locator("tr").all()
    return [(row.locator("th").text_content(), row.locator(".number").text_content()) for row in rows]


PHOTOS = ["red.png", "blue.jpg", "grey.png", "olive.png", "turned.jpg", "moving.gif", "see_through.png"]


def test_photos_get_what_predict_says_of_them(tab, folder, run_stage, capsys):
    """Upright, of an animation the first frame, on white where one can see through; unsure and none of these, too."""
    give(tab, *(folder / "photos" / name for name in PHOTOS))
    capsys.readouterr()
    model = ["--model", "models/exported/best.onnx"]
    assert run_stage(predict.main, folder, *(f"photos/{name}" for name in PHOTOS), *model) == 0
    told = re.split(r"^photos/", capsys.readouterr().out, flags=re.MULTILINE)[1:]
    for number, (name, said) in enumerate(zip(PHOTOS, told, strict=True)):
        article = tab.locator("#answers article").nth(number)
        assert article.locator("h2").text_content() == name == said.splitlines()[0]
        remarks = re.findall(r"^  (n\w+ (?:of|sure).*)$", said, re.MULTILINE)
        assert [each.lower() for each in article.locator(".unsure").all_text_contents()] == [r.lower() for r in remarks]
        shares = dict(re.findall(r"^  (.*?) {2,}(\S+%)", said, re.MULTILINE))
        assert [share for _, share in rows(tab, number)] == sorted(shares.values(), key=lambda s: -float(s[:-1]))
        assert shares[rows(tab, number)[0][0]] == rows(tab, number)[0][1]
    assert tab.locator(".unsure").count() == 2
    assert tab.locator("#answers article").first.locator("summary").text_content() == "1 more"
    assert "79 drawn pictures that it was neither trained nor chosen on: 90.0% right" in tab.inner_text("#model")


def test_what_is_no_photo_gets_a_sentence_and_the_others_are_told(tab, folder, tmp_path):
    Image.new("L", (10_000, 5_101)).save(tmp_path / "large.png")
    names = ["notes.txt", "empty.jpg", "short.jpg", "it.tiff", "red.png"]
    give(tab, *(folder / "photos" / name for name in names), tmp_path / "large.png")
    assert [text.rstrip(".") for text in tab.locator(".note p:first-child").all_text_contents()] == [
        "notes.txt was not read: not a picture",
        "empty.jpg was not read: empty",
        "short.jpg was not read: cut short",
        "it.tiff was not read: this browser can't read TIFF: save it as JPEG",
        "large.png was not read: too many pixels (10000x5101)",
    ]
    assert tab.locator("article h2").all_text_contents() == ["red.png"]
    assert tab.locator("#status").text_content() == "6 files done."


def test_a_photo_of_50_megapixels_is_answered(tab, tmp_path):
    paint(tmp_path / "large.jpg", (250, 20, 20), (8192, 6100))
    give(tab, tmp_path / "large.jpg")
    assert rows(tab, 0)[0][0] == "Cairn"


def test_a_files_name_is_shown_as_it_is_and_never_run(tab, folder):
    give(tab, folder / "photos" / HOSTILE)
    assert tab.locator("#answers h2").text_content() == HOSTILE
    assert rows(tab, 0)[0][0] == "Grand Bleu de Gascogne"
    assert tab.title() == "Which breed is it?"


def hand_over(tab, file: Path, event: str, carrier: str) -> None:
    """Paste or drop a file on the page."""
    tab.evaluate(
        """([bytes, name, event, carrier]) => {
          const files = new DataTransfer();
          files.items.add(new File([new Uint8Array(bytes)], name));
          const options = { bubbles: true, cancelable: true, [carrier]: files };
          const made = event === "paste" ? new ClipboardEvent(event, options) : new DragEvent(event, options);
          document.body.dispatchEvent(made);
        }""",
        [list(file.read_bytes()), file.name, event, carrier],
    )


def test_a_photo_may_be_dropped_or_pasted_or_taken_by_the_camera(tab, folder):
    hand_over(tab, folder / "photos/red.png", "drop", "dataTransfer")
    tab.locator("h2", has_text="red.png").wait_for()
    hand_over(tab, folder / "photos/blue.jpg", "paste", "clipboardData")
    tab.locator("h2", has_text="blue.jpg").wait_for()
    tab.locator("#camera").click()
    tab.locator("dialog[open]").wait_for()
    tab.locator("video").evaluate("video => video.videoWidth || new Promise(done => (video.onloadeddata = done))")
    tab.locator("#shoot").click()
    tab.locator("h2", has_text="camera.png").wait_for()
    assert rows(tab, 0)[0][0] == "Grand Bleu de Gascogne"  # the camera's picture is green
    assert tab.locator("video").evaluate("video => video.srcObject") is None, "the camera is still on"


def test_who_clicks_again_before_the_camera_is_there_opens_it_once(tab):
    tab.evaluate("""() => {
      const devices = navigator.mediaDevices;
      const open = devices.getUserMedia.bind(devices);
      globalThis.opened = [];
      devices.getUserMedia = async (wanted) => {
        await new Promise((resolve) => setTimeout(resolve, 200));
        opened.push(await open(wanted));
        return opened.at(-1);
      };
      for (const _ of "twice!") document.querySelector("#camera").click();
    }""")
    tab.locator("dialog[open]").wait_for()
    tab.locator("#cancel").click()
    stopped = "opened.map((stream) => stream.getTracks().every((track) => track.readyState === 'ended'))"
    tab.wait_for_timeout(500)
    assert tab.evaluate(stopped) == [True]


def test_all_of_it_is_reached_by_keyboard_and_named_for_screen_readers(tab, folder):
    give(tab, folder / "photos/red.png")
    reached = []
    for _ in range(3):
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert reached == ["choose", "camera", "SUMMARY"]
    tab.keyboard.press("Enter")
    assert tab.locator("details").get_attribute("open") is not None
    assert tab.locator("#choose").evaluate("input => input.labels[0].textContent") == "Choose photos"
    assert tab.locator("canvas").get_attribute("aria-label") == "red.png, as the model sees it"
    assert tab.locator("[role=status]").text_content() == "1 file done."
    assert tab.locator("html").get_attribute("lang") == "en"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1400])
@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
def test_nothing_is_cut_off(browser, host, folder, width, scheme, locale):
    viewport = {"width": width, "height": 900}
    tab = visit(browser, host.address, viewport=viewport, color_scheme=scheme, locale=locale)
    give(tab, *(folder / "photos" / name for name in ("red.png", "grey.png", "olive.png", "notes.txt")))
    if "SCREENSHOTS" in os.environ:
        shot = Path(os.environ["SCREENSHOTS"]) / f"web-{locale[:2]}-{width}-{scheme}.png"
        tab.screenshot(path=shot, full_page=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    shown = tab.locator("h1, header p, .button:visible, #answers *:visible, #model *")
    assert shown.count() > 50
    outside = "e => { const b = e.getBoundingClientRect(); return b.left < 0 || b.right > innerWidth + 0.5 }"
    assert shown.evaluate_all(f"all => all.filter({outside}).map(e => e.outerHTML)") == []
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) < 200) == (scheme == "dark")
    title = {"en-GB": "Which breed is it?", "fr-FR": "De quelle race est\u2011il\u00a0?"}[locale]
    assert tab.locator("h1").text_content() == title
    tab.context.close()


# The network


def test_once_loaded_it_answers_where_there_is_no_network_even_when_opened_anew(browser, page, folder):
    host = Host(page)
    tab = visit(browser, host.address)
    loaded = [path for path in host.asked if path in ("/model.onnx", "/onnxruntime.bin")]
    assert sorted(loaded) == ["/model.onnx", "/onnxruntime.bin"], "what is large is loaded once"
    assert "This page works without a network now." in tab.inner_text("footer")
    host.cut()
    tab.context.set_offline(True)
    open_at(tab, host.address)
    give(tab, folder / "photos/red.png")
    assert rows(tab, 0)[0][0] == "Cairn"
    tab.context.close()


def test_a_host_without_addresses_in_index_html_will_do_and_that_address_works_without_it(browser, page):
    host = Host(page, pretty=True)
    tab = visit(browser, f"{host.address}index.html")
    assert tab.url == host.address
    host.cut()
    open_at(tab, f"{host.address}index.html")
    tab.context.close()


def test_where_a_file_is_missing_nothing_is_kept_and_photos_are_answered_all_the_same(browser, page, folder, tmp_path):
    shutil.copytree(page, tmp_path / "page")
    (tmp_path / "page/icon.png").unlink()
    host = Host(tmp_path / "page")
    tab = visit(browser, host.address)
    give(tab, folder / "photos/red.png")
    assert rows(tab, 0)[0][0] == "Cairn"
    assert "/icon.png" in host.asked
    assert tab.inner_text("footer") == "Your photos stay on this device."
    tab.context.close()
    host.cut()


# what becomes of the host's newest version
UPDATE = """async () => {
  const registration = await (await navigator.serviceWorker.ready).update();
  const worker = registration.installing ?? registration.waiting;
  await new Promise((resolve) => {
    const look = () => ["installed", "redundant"].includes(worker.state) && resolve();
    worker.addEventListener("statechange", look);
    look();
  });
  return worker.state;
}"""


def test_a_newer_page_is_shown_whole_when_the_windows_are_closed_and_never_mixed(
    browser, page, folder, tmp_path, run_stage
):
    newer = ABOUT.model_copy(update={"breeds": ["Kangal", *BREEDS[1:]]})
    (tmp_path / "newer.onnx").write_bytes(label_onnx(by_colour(), newer))
    assert run_stage(web.main, folder, str(tmp_path / "newer"), "--model", str(tmp_path / "newer.onnx")) == 0
    later = time.time() + 60
    for file in (tmp_path / "newer").iterdir():
        os.utime(file, (later, later))  # by which a host tells that it is another
    hosted = shutil.copytree(page, tmp_path / "hosted")
    host = Host(hosted)
    tab = visit(browser, host.address)
    windows = tab.context

    def after_an_update(expected: str) -> str:
        assert windows.pages[0].evaluate(UPDATE) == expected
        windows.pages[0].close()
        open_at(windows.new_page(), host.address)
        return windows.pages[0].inner_text("#model dd >> nth=0")

    shutil.copytree(tmp_path / "newer", hosted, dirs_exist_ok=True)
    shutil.copyfile(page / "about.json", hosted / "about.json")  # which some edge of a host's still has
    assert "Cairn" in after_an_update("redundant")
    shutil.copy2(tmp_path / "newer/about.json", hosted / "about.json")
    assert "Kangal" in after_an_update("installed")
    windows.close()
    host.cut()


def test_the_worker_that_reads_photos_can_reach_no_other_machine(tab, tmp_path):
    other = Host(tmp_path)
    (worker,) = tab.workers
    ask = "address => fetch(address, { mode: 'no-cors' }).then(() => 'reached', String)"
    said = worker.evaluate(ask, other.address)
    other.cut()
    assert other.asked == []
    assert "Failed to fetch" in said
    assert all("Content Security Policy" in wrong for wrong in tab.wrong)
    tab.wrong.clear()


def test_pythons_own_server_is_enough_to_look_at_it(browser, page, folder):
    command = [sys.executable, "-u", "-m", "http.server", "--directory", str(page), "--bind", "127.0.0.1", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        port = re.search(r"port (\d+)", server.stdout.readline())[1]
        tab = visit(browser, f"http://127.0.0.1:{port}/")
        give(tab, folder / "photos/red.png")
        server.terminate()
    assert rows(tab, 0)[0][0] == "Cairn"
    tab.context.close()


def test_no_photo_makes_it_ask_its_host_for_anything(tab, host, folder):
    before = len(host.asked)
    give(tab, folder / "photos/red.png", folder / "photos/notes.txt")
    assert [path for path in host.asked[before:] if path != "/service.js"] == []  # the browser looks for a newer one


def test_it_can_be_installed(tab):
    told = tab.context.new_cdp_session(tab).send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {each["errorId"] for each in told} <= {"in-incognito"}  # which these windows are


def test_the_browser_asks_no_other_machine_for_anything(browser, tab, folder):
    """By Chromium's own log, which has what a page's log has not: names looked up and connections made ahead."""
    give(tab, folder / "photos/red.png")
    tab.evaluate("fetch('service.js?the-end-of-this-test')")
    deadline = time.time() + 30
    while "the-end-of-this-test" not in (content := browser.log.read_text(errors="replace")) and time.time() < deadline:
        time.sleep(0.5)  # it is written now and then
    assert "the-end-of-this-test" in content
    hosts = set(re.findall(r'"(?:host|url)":"(?:https?://)?([^/":]+)', content))
    assert "127.0.0.1" in hosts
    assert {host for host in hosts if not CHROMIUMS_OWN.fullmatch(host)} <= {"127.0.0.1", "blob"}


def test_each_module_that_the_page_loads_is_in_its_folder():
    for script in PAGE.glob("*.js"):
        for name in re.findall(r'from "\./([\w.]+)"', script.read_text()):
            assert (PAGE / name).exists() or name == "onnxruntime.js", f"{script.name} needs {name}"
    assert [path.name for path in PAGE.glob("*.js") if len(path.read_text().splitlines()) > 250] == []
    assert (ROOT / "stages/lib/web/package-lock.json").exists()
