"""The page on which photos are dropped: what it shows, in a browser, and what it refuses.

What needs Gradio or Chromium is skipped where there is none; requirements/app.txt has the former and what drives the
latter.
"""

import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
import PIL
import pytest
from chromium import CHROMIUMS_OWN, chromium
from keras import layers
from PIL import Image
from pipeline_fixtures import write_shown

from stages import app, predict
from stages.lib.core.arrays import write_rows
from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES
from stages.lib.core.errors import UserError, run
from stages.lib.core.shrinking import shrink
from stages.lib.images.photos import read_photo, to_square
from stages.lib.inference.nearest import Alike, TrainingPhotos
from stages.lib.networks.classifiers import familiar_features, pool, with_familiarity
from stages.lib.networks.model_files import Classifier, save_classifier
from stages.lib.serving import page_content
from stages.lib.serving.answers import answer_in_batches, read_photos
from stages.lib.serving.trained_models import NONE_OF_THESE, Familiarity, Threshold, Trained, load_model

BREEDS = ["Cairn", "Grand Bleu de Gascogne", "Löwchen"]  # red, green and blue to the network below
SIDE, PREPARED_SIDE = 32, 48  # pixels
THRESHOLD = 0.6
KNOWN = np.linspace(-0.5, 0.9, 39).round(6).tolist()  # how familiar known photos are
EVERYBODY = Familiarity(KNOWN, KNOWN[1])  # with a threshold that any of the photos here reaches
COLOURFUL = Familiarity(KNOWN, 0.65)  # with one that grey does not
TURNED_AWAY = 0.05
MAX_PIXELS = 20_000
SCORES = {
    "accuracy": 0.898734,
    "accuracy_low": 0.812701,
    "accuracy_high": 0.947788,
    "threshold": THRESHOLD,
    "coverage": 0.911392,
    "selective_accuracy": 0.916667,
    "familiarity_threshold": KNOWN[1],
    "turned_away": 0.050633,
    "unknown_photos": 1234,
    "unknown_turned_away": 0.766667,
}
EVALUATION = {
    "scratch_plain": SCORES,
    "best": "scratch_plain",
    "test_photos": 79,
    "drawn": True,
    "caveats": ["These are drawn pictures, not photographs."],
}
PREPARED = {"photos": 300, "breeds": 3, "train": 1192, "val": 29, "test": 79}
LOCK = """
stages:
  evaluate:
    params:
      params.yaml:
        data.source: data/sample
        evaluate: {confidence_level: 0.9}
"""
HOSTILE = "<img src=x onerror=document.title='x'> ${document.title='y'} {{value}} 'a\" &amp;.png"

needs_gradio = pytest.mark.skipif(find_spec("gradio") is None, reason="Gradio is not here: requirements/app.txt has it")


def by_colour() -> keras.Model:
    """A network that takes red for the first breed, green for the second and blue for the third, and grey for any.

    Grey is what is least familiar to it: its cosine to each of the colours is 0.58.
    """
    photo = keras.Input((SIDE, SIDE, 3))
    maps = layers.AveragePooling2D(4)(layers.Rescaling(1 / 255)(photo))
    network = keras.Model(photo, layers.Dense(3, activation="softmax", name="probabilities")(pool(maps)))
    network.layers[-1].set_weights([5 * np.eye(3, dtype=np.float32), np.zeros(3)])
    return with_familiarity(network, np.eye(3, dtype=np.float32))


def classify(network: Any, resize: str = "crop") -> Classifier:
    return Classifier(network, BREEDS, resize, PREPARED_SIDE, KNOWN)


def paint(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (90, 60)) -> Path:
    """A picture of one colour that fades to the right."""
    fading = np.linspace(1, 0.6, size[0])[None, :, None] * np.ones((size[1], 1, 3)) * colour
    Image.fromarray(fading.astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_params):
    """A repository with a trained model, what was measured of it, and photos to ask about."""
    folder = tmp_path_factory.mktemp("app")
    save_classifier(classify(by_colour()), folder / "models/scratch_plain.keras")
    (folder / "metrics").mkdir()
    (folder / "metrics/evaluate.json").write_text(json.dumps(EVALUATION))
    (folder / "metrics/prepare.json").write_text(json.dumps(PREPARED))
    (folder / "dvc.lock").write_text(LOCK)
    write_params(folder / "params.yaml", **{"data.max_pixels": MAX_PIXELS})
    photos = folder / "photos"
    photos.mkdir()
    paint(photos / "red.png", (255, 40, 0))
    paint(photos / "blue.jpg", (20, 60, 220), (60, 90))
    paint(photos / "grey.png", (128, 128, 128))
    paint(photos / HOSTILE, (0, 250, 0))
    paint(photos / "large.png", (9, 200, 9), (200, 101))
    (photos / "notes.txt").write_text("no photo")
    (photos / "empty.jpg").touch()
    (photos / "short.jpg").write_bytes((photos / "blue.jpg").read_bytes()[:400])
    return folder


@pytest.fixture(scope="module")
def trained():
    network = by_colour()
    return Trained(classify(network), network, EVERYBODY, Threshold(THRESHOLD), "scratch_plain")


def call(monkeypatch, capsys, main, *arguments: object) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["it", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        run(main)
    return stopped.value.code, *capsys.readouterr()


# The command


def test_without_gradio_it_says_where_the_commands_are(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(app, "find_spec", lambda _: None)
    code, printed, complaint = call(monkeypatch, capsys, app.main)
    assert (code, printed) == (1, "")
    assert complaint == 'error: Gradio is not installed here: docs/serving.md, "A page to try it on", tells how.\n'


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--port", "65536"], "must be a whole number from 0 to 65535. Received: 65536"),
        (["--port", "-1"], "must be a whole number from 0 to 65535. Received: -1"),
        (["--port", "eighty"], "must be a whole number from 0 to 65535. Received: eighty"),
        (["--share"], "unrecognized arguments: --share"),
    ],
)
def test_an_option_that_cannot_be_is_told(monkeypatch, capsys, arguments, told):
    code, _, complaint = call(monkeypatch, capsys, app.main, *arguments)
    assert code == 2
    assert told in complaint


def test_a_port_in_use_is_a_sentence(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(app, "find_spec", lambda _: "there")
    with app.listen(0) as taken:
        port = taken.getsockname()[1]
        code, printed, complaint = call(monkeypatch, capsys, app.main, "--port", port)
    assert (code, printed) == (1, "")
    assert complaint == (
        f"error: Port {port} is in use, perhaps by this page already: end that, or choose another with --port.\n"
    )


def test_it_listens_to_this_machine_alone():
    with app.listen(0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_gradio_is_told_nothing_by_the_environment_but_what_we_tell_it(monkeypatch, tmp_path):
    for name in list(os.environ):
        monkeypatch.setenv(name, os.environ[name])  # so that all of it is put back
    monkeypatch.setenv("GRADIO_SHARE", "True")
    monkeypatch.setenv("GRADIO_ALLOWED_PATHS", "/")
    app.set_environment(tmp_path)
    told = {name: value for name, value in os.environ.items() if name.startswith("GRADIO_")}
    assert told == {"GRADIO_TEMP_DIR": str(tmp_path), "GRADIO_ANALYTICS_ENABLED": "False"}
    for name in told:
        monkeypatch.delenv(name)
    monkeypatch.delenv("HF_HUB_OFFLINE")


def test_a_model_that_is_not_there_is_told_before_anything_is_served(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(app, "find_spec", lambda _: "there")
    code, printed, complaint = call(monkeypatch, capsys, app.main, "--model", "another")
    assert (code, printed) == (1, "")
    assert complaint.startswith("error: --model must be scratch_plain, ")


def test_both_environments_have_the_same_versions_but_where_gradio_cannot(root):
    def read(name: str) -> dict[str, str]:
        pins = re.findall(r"^([\w.-]+)==(\S+)", (root / name).read_text(), re.MULTILINE)
        return {re.sub("[-_.]+", "-", package.lower()): version for package, version in pins}

    main, page = read("requirements/constraints.txt"), read("requirements/constraints-app.txt")
    assert {package for package in main.keys() & page.keys() if main[package] != page[package]} == {"pillow", "tomlkit"}
    assert read("requirements/app.txt").items() <= page.items()


# What the page says


def words(html: str) -> str:
    """The text of a piece of HTML, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def test_it_says_what_the_model_was_trained_on_and_how_often_it_was_right(folder, trained, monkeypatch):
    monkeypatch.chdir(folder)
    told = words(page_content.render_about(trained, Path("models/scratch_plain.keras"), EVALUATION))
    assert "3 breeds Cairn, Grand Bleu de Gascogne, Löwchen Trained on " in told
    assert "Trained on 1,192 drawn pictures of data/sample; 29 more chose when to stop" in told
    assert "79 drawn pictures that it was neither trained nor chosen on: 89.9% right" in told
    assert "(90% interval: 81.3% to 94.8%)" in told
    assert "Where no breed has 60.0% or more. Of the test pictures, 91.1% had, and 91.7% of these were right." in told
    assert "These are drawn pictures, not photographs." in told
    assert "Of the test pictures, 5.1% were called so, and of 1,234 of anything else 76.7%." in told


def test_of_photos_it_says_photos(folder, trained, monkeypatch):
    monkeypatch.chdir(folder)
    told = words(page_content.render_about(trained, Path("it.keras"), {**EVALUATION, "drawn": False, "caveats": []}))
    assert "1,192 photos of data/sample" in told
    assert "79 photos that it was" in told
    assert "drawn" not in told


def test_of_a_model_from_elsewhere_it_says_that_nothing_is_known(folder, trained, monkeypatch):
    monkeypatch.chdir(folder)
    other = trained._replace(name=None, threshold=None)
    told = words(page_content.render_about(other, Path("another.keras"), EVALUATION))
    assert "Nothing here tells what this file was trained on, nor how often it is right." in told
    assert "so it never says that it is not sure" in told
    assert "89.9%" not in told
    assert "drawn" not in told


def test_of_a_model_that_reached_no_threshold_it_says_that_it_is_never_sure(folder, trained, monkeypatch):
    monkeypatch.chdir(folder)
    never = {**EVALUATION, "scratch_plain": {**SCORES, "threshold": None, "selective_accuracy": None}}
    told = words(page_content.render_about(trained._replace(threshold=Threshold(None)), Path("it.keras"), never))
    assert "“Not sure” Always: " in told


def test_without_unknown_photos_it_tells_what_became_of_the_test_photos_alone(folder, trained, monkeypatch):
    monkeypatch.chdir(folder)
    scores = {name: value for name, value in SCORES.items() if not name.startswith("unknown_")}
    told = words(page_content.render_about(trained, Path("it.keras"), EVALUATION | {"scratch_plain": scores}))
    assert "Of the test pictures, 5.1% were called so. " in told


def test_of_a_model_that_knows_too_few_photos_it_says_that_it_always_answers(folder, trained, monkeypatch):
    monkeypatch.chdir(folder)
    few = trained._replace(familiarity=Familiarity(KNOWN[:18], None))
    told = words(page_content.render_about(few, Path("it.keras"), EVALUATION))
    assert "“None of these breeds” Never: 18 photos of these breeds are too few to tell what is usual." in told


def test_without_a_lock_or_counts_it_leaves_them_out(tmp_path, trained, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = words(page_content.render_about(trained, Path("it.keras"), EVALUATION))
    assert "(interval: 81.3% to 94.8%)" in told
    assert "Trained on" not in told


def shown(trained: Trained, files: list[Path], training_photos: TrainingPhotos | None = None) -> page_content.Shown:
    (batch,) = answer_in_batches(trained.classifier, files, MAX_PIXELS, trained.familiarity, trained.threshold, 8)
    return page_content.show_batch(trained, training_photos, batch, {file: file.name for file in files})


def test_the_picture_is_the_one_that_the_model_was_given(folder, trained):
    html = page_content.render_answers(shown(trained, [folder / "photos/grey.png"]), trained.threshold)
    picture, _ = re.findall('src="data:image/jpeg;base64,([^"]*)"', html)
    found = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))), np.float32)
    expected = read_photos([folder / "photos/grey.png"], trained.classifier, MAX_PIXELS).pictures[0]
    assert np.abs(found - expected).max() < 8  # JPEG


@pytest.mark.parametrize("resize", ["crop", "pad", "squash"])
def test_a_photo_is_made_square_and_shrunk_as_prepare_and_the_stages_after_it_do(folder, resize):
    photo = read_photo(folder / "photos/red.png", MAX_PIXELS)
    expected = np.asarray(shrink(to_square(photo, PREPARED_SIDE, resize), SIDE))
    (found,) = read_photos([folder / "photos/red.png"], classify(by_colour(), resize), MAX_PIXELS).pictures
    assert np.array_equal(found, expected)
    assert not np.array_equal(found, to_square(photo, SIDE, resize))


def test_a_picture_that_an_older_pillow_cannot_pad_gets_a_sentence(tmp_path):
    paint(tmp_path / "line.png", (200, 100, 0), (5000, 1))
    paint(tmp_path / "dog.png", (200, 100, 0))
    found = read_photos([tmp_path / "line.png", tmp_path / "dog.png"], classify(by_colour(), "pad"), MAX_PIXELS)
    can_pad = int(PIL.__version__.split(".")[0]) >= 13
    refused = [] if can_pad else [f"{tmp_path / 'line.png'}: too thin to be padded (5000x1)"]
    assert [str(fault) for fault in found.faults] == refused
    assert len(found.pictures) == (2 if can_pad else 1)


def test_names_of_files_are_text_whatever_they_hold(folder, trained):
    found = shown(trained, [folder / "photos" / HOSTILE])
    html = page_content.render_answers(found._replace(faults=[{"name": HOSTILE, "reason": HOSTILE}]), trained.threshold)
    assert "<img src=x" not in html
    assert words(html).count("{{value}}") == 3


# What is none of the breeds


@pytest.fixture(scope="module")
def training_photos(tmp_path_factory):
    """Training photos, by the features of the network above: its three colours."""
    folder = tmp_path_factory.mktemp("training")
    colours = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "pale": (170, 160, 150)}
    breeds = dict(zip(colours, [*BREEDS, BREEDS[2]], strict=True))
    files = [Alike(paint(folder / f"{name}.png", colour, (40, 40)), breeds[name]) for name, colour in colours.items()]
    features = np.array(list(colours.values()), np.float32)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return TrainingPhotos(familiar_features(by_colour()), unit, files)


def test_a_photo_that_is_none_of_the_breeds_is_called_so_and_stands_beside_the_training_photos_most_like_it(
    folder, trained, training_photos
):
    grey, red = folder / "photos/grey.png", folder / "photos/red.png"
    found = shown(trained._replace(familiarity=COLOURFUL), [grey, red], training_photos)
    unknown, known = found.photos
    assert [(photo["unknown"], photo["sure"]) for photo in found.photos] == [(True, False), (False, True)]
    assert len({each["picture"] for each in unknown["alike"]}) == 3
    assert unknown["alike"][0]["breed"] == BREEDS[2], "the pale one"
    assert known["alike"] == []

    html = page_content.render_answers(found, trained.threshold)
    of_grey, of_red = html.split("red.png", 1)[0], html.split("grey.png", 1)[1].split("red.png", 1)[1]
    assert words(html).count(NONE_OF_THESE) == words(of_grey).count(NONE_OF_THESE) == 1
    assert "not sure" not in words(html), "that it is none of the breeds says enough"
    assert f"{BREEDS[2]}, the training photo most like it" in words(of_grey)
    assert of_grey.count("A training photo of ") == 3
    assert "raining photo" not in of_red
    assert len(unknown["breeds"]) == 3, "they are listed all the same"


def test_without_training_photos_the_page_says_that_it_is_none_of_the_breeds_and_shows_nothing_beside_it(
    folder, trained
):
    found = shown(trained._replace(familiarity=COLOURFUL), [folder / "photos/grey.png"])
    assert found.photos[0]["alike"] == []
    html = page_content.render_answers(found, trained.threshold)
    assert NONE_OF_THESE in words(html)
    assert "raining photo" not in html


def test_a_model_that_knows_too_few_photos_turns_none_away(folder, trained, training_photos):
    few = trained._replace(familiarity=Familiarity([], None))
    (photo,) = shown(few, [folder / "photos/grey.png"], training_photos).photos
    assert (photo["unknown"], photo["familiarity"], photo["alike"]) == (False, 1, [])
    assert NONE_OF_THESE not in page_content.render_answers(page_content.Shown([photo], [], 0), trained.threshold)


def test_training_photos_are_read_of_models_on_a_backbone_where_they_are(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    families = {"scratch": ("scratch_plain",), "VGG16": ("VGG16_finetune",)}
    read = []

    def read_training_photos(network, backbone):
        read.append((network, backbone))
        return TrainingPhotos(network, np.empty((0, 3)), [])

    monkeypatch.setattr(page_content, "read_training_photos", read_training_photos)
    page_content.read_alike(trained, families)
    page_content.read_alike(trained._replace(name=None), families)
    page_content.read_alike(trained._replace(name="VGG16_finetune", as_saved=None), families)
    assert read == [], "from scratch, from elsewhere, or exported"
    page_content.read_alike(trained._replace(name="VGG16_finetune"), families)
    assert read == [(trained.as_saved, "VGG16")]


def test_where_somebody_has_the_model_alone_there_are_no_training_photos(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert page_content.read_alike(trained._replace(name="VGG16_finetune"), {"VGG16": ("VGG16_finetune",)}) is None


def test_of_many_breeds_the_first_are_listed_and_the_others_folded_away(trained):
    breeds = [{"breed": f"Breed {number}", "probability": 1 / 120} for number in range(120)]
    photo = {
        "photo": "dog.jpg",
        "unknown": False,
        "sure": True,
        "breeds": breeds,
        "picture": "data:",
        "heat": None,
        "alike": [],
    }
    html = page_content.render_answers(page_content.Shown([photo], [], 0), trained.threshold)
    open_part, folded = html.split("<details>")
    assert open_part.count("<tr>") == 5
    assert folded.count("<tr>") == 115
    assert "<summary>115 more</summary>" in folded


def test_a_network_that_is_not_kerass_has_no_heat(folder, trained):
    class Other:
        input_shape = (None, SIDE, SIDE, 3)

        def predict_on_batch(self, photos):
            return {FAMILIARITY: np.full(len(photos), 0.9), PROBABILITIES: np.tile([[0.7, 0.2, 0.1]], (len(photos), 1))}

    other = trained._replace(classifier=classify(Other()), as_saved=None)
    found = shown(other, [folder / "photos/red.png"])
    assert found.photos[0]["heat"] is None
    assert page_content.render_answers(found, None).count("<img") == 1


@pytest.mark.parametrize("content", ["<<<<<<< HEAD\nstages:\n=======\n", "stages: [", "{"])
def test_a_file_of_the_pipeline_that_can_not_be_read_is_one_line(trained, tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    Path("dvc.lock").write_text(content)
    with pytest.raises(UserError, match=r"^dvc.lock can't be read \(.*\): `git checkout dvc.lock` brings it back\.$"):
        page_content.render_about(trained, Path("it.keras"), EVALUATION)


def test_an_empty_lock_tells_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("dvc.lock").touch()
    assert page_content.read_locked_params() == {}


def test_averaged_views_are_explained_by_the_network_as_it_is_saved(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_classifier(classify(by_colour()), Path("models/scratch_plain.keras"))
    read = load_model(Path("models/scratch_plain.keras"), EVALUATION | {"views": 2}, TURNED_AWAY)
    (photo,) = shown(read, [folder / "photos/red.png"]).photos
    assert photo["heat"] is not None
    assert read.as_saved.inputs[0].shape == read.classifier.network.inputs[0].shape
    assert len(read.classifier.network.operations) > len(read.as_saved.operations)


# The page in a browser


class Served:
    """The page, served by a process of its own."""

    def __init__(self, folder: Path, *arguments: str, interrupted_by: signal.Handlers = signal.SIG_DFL):
        self.temporary = folder / "temporary"
        self.temporary.mkdir(exist_ok=True)
        self.log = (folder / "app.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "stages.app", "--port", "0", *arguments],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(app.__file__).rpartition("/stages/")[0],
                "TMPDIR": str(self.temporary),
            },
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, interrupted_by),
        )
        line = self.process.stdout.readline()
        assert line.startswith("Open http://127.0.0.1:"), self.complaint()
        self.address = line.split()[1]

    def complaint(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def uploads(self) -> list[Path]:
        (private,) = self.temporary.glob("dog-breeds-*")
        assert private.stat().st_mode & 0o077 == 0
        return [path for path in private.rglob("*") if path.is_file()]

    def end(self, by: int) -> int:
        self.process.send_signal(by)
        try:
            return self.process.wait(30)
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def served(folder):
    """The page; when the tests are through, it ends by SIGTERM without a trace."""
    pytest.importorskip("gradio", reason="Gradio is not here: requirements/app.txt has it")
    page = Served(folder)
    yield page
    assert page.end(signal.SIGTERM) == 0
    assert list(page.temporary.iterdir()) == []
    assert "Traceback" not in page.complaint()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture
def tab(browser, served):
    """The page in a browser; it may load nothing from outside, nor go wrong."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("response", lambda response: wrong.append(response.url) if response.status >= 400 else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(served.address)
    page.wait_for_selector("input[type=file]", state="attached")
    yield page
    page.close()
    outside = [url for url in asked if not url.startswith((served.address, "data:", "blob:"))]
    assert (outside, wrong) == ([], [])


def drop(tab, *files: Path) -> None:
    """Give the page files, and wait for its answer."""
    tab.set_input_files("input[type=file]", [str(file) for file in files])
    tab.wait_for_selector(".answers article, .answers .note", timeout=60_000)
    tab.wait_for_selector("text=Click to Upload")  # ready for the next


def rows(tab, number: int) -> list[list[str]]:
    """The breeds of a photo with their probabilities, as they are shown."""
    article = tab.locator(".answers article").nth(number)
    return [
        [row.locator("th").inner_text(), row.locator(".number").inner_text()] for row in article.locator("tr").all()
    ]


def test_a_photo_gets_its_breeds_as_predict_tells_them_with_bars_and_where_the_network_looked(
    tab, folder, monkeypatch, capsys
):
    drop(tab, folder / "photos/red.png")
    monkeypatch.chdir(folder)
    _, printed, _ = call(monkeypatch, capsys, predict.main, "photos/red.png")
    _, *lines = printed.splitlines()
    told = [re.fullmatch(r"  (.*?) +(\S+%)( .*)?", line).groups()[:2] for line in lines]
    assert told[0][0] == "Cairn"
    assert [tuple(row) for row in rows(tab, 0)] == told
    assert tab.locator(".answers h2").inner_text() == "red.png"
    widths = [bar.bounding_box()["width"] for bar in tab.locator(".answers .bar span").all()]
    whole = tab.locator(".answers .bar").first.bounding_box()["width"]
    shares = [float(share.rstrip("%")) / 100 for _, share in told]
    assert np.abs(np.array(widths) / whole - shares).max() < 0.06
    assert tab.locator(".answers figcaption").all_inner_texts() == [
        "as the model sees it",
        "yellow: what spoke most for Cairn",
    ]
    assert tab.locator(".answers img").evaluate_all("images => images.map(i => i.naturalWidth)") == [SIDE, SIDE]
    assert tab.locator(".answers .unsure").count() == 0
    assert "79 drawn pictures that it was neither trained nor chosen on: 89.9% right" in tab.inner_text(".about")


def test_of_several_the_ones_that_are_no_photos_get_a_sentence_and_the_others_are_told(tab, folder):
    names = ["red.png", "notes.txt", "empty.jpg", "blue.jpg", "large.png", "short.jpg"]
    drop(tab, *(folder / "photos" / name for name in names))
    assert tab.locator(".answers h2").all_inner_texts() == ["red.png", "blue.jpg"]
    assert [rows(tab, number)[0][0] for number in (0, 1)] == ["Cairn", "Löwchen"]
    sentences = tab.locator(".answers .note p").all_inner_texts()
    assert sentences[:3] == [
        "notes.txt was not read: not a picture.",
        "empty.jpg was not read: empty.",
        "large.png was not read: too many pixels (200x101).",
    ]
    assert sentences[3].startswith("short.jpg was not read: cut short")
    assert "Traceback" not in tab.content()
    drop(tab, folder / "photos/notes.txt")
    tab.wait_for_function("document.querySelectorAll('.answers article').length === 0")
    assert tab.locator(".answers .note p").first.inner_text() == "notes.txt was not read: not a picture."


def test_a_photo_that_it_is_not_sure_of_says_so_and_has_its_breeds_all_the_same(tab, folder):
    drop(tab, folder / "photos/grey.png")
    assert tab.locator(".answers .unsure").text_content() == "not sure: it would be from 60.0% on"
    assert [share for _, share in rows(tab, 0)] == ["33.3%", "33.3%", "33.3%"]


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_cut_off(tab, folder, width):
    tab.set_viewport_size({"width": width, "height": 900})
    drop(tab, folder / "photos/red.png", folder / "photos/grey.png", folder / "photos/notes.txt")
    if "SCREENSHOTS" in os.environ:
        tab.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{width}.png", full_page=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    outside = "e => { const b = e.getBoundingClientRect(); return b.left < 0 || b.right > innerWidth + 0.5 }"
    shown = tab.locator(".answers *, .about *, h1")
    assert shown.count() > 50
    assert shown.evaluate_all(f"all => all.filter({outside}).map(e => e.outerHTML)") == []
    wider = "e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline'"
    assert shown.evaluate_all(f"all => all.filter({wider}).map(e => e.outerHTML)") == []


def test_a_files_name_is_shown_as_it_is_and_never_run(tab, folder):
    title = tab.title()
    drop(tab, folder / "photos" / HOSTILE)
    assert tab.locator(".answers h2").inner_text() == HOSTILE
    assert rows(tab, 0)[0][0] == "Grand Bleu de Gascogne"
    assert tab.title() == title == "Which breed is it?"


def test_a_file_that_is_too_large_is_told_with_its_name(tab, tmp_path):
    with (tmp_path / "film.mp4").open("wb") as film:
        film.truncate(101 * 2**20)
    tab.set_input_files("input[type=file]", [str(tmp_path / "film.mp4")])
    tab.wait_for_selector("text=exceed the maximum allowed size")
    assert "film.mp4" in tab.inner_text("body")


def test_the_browser_asks_no_other_machine_for_anything(browser, tab, folder):
    """By Chromium's own log, which has what a page's log has not: names looked up and connections made ahead."""
    drop(tab, folder / "photos/red.png")
    deadline = time.time() + 30
    while "queue/join" not in (content := browser.log.read_text(errors="replace")) and time.time() < deadline:
        time.sleep(0.5)  # it is written now and then
    hosts = set(re.findall(r'"(?:host|url)":"(?:https?://)?([^/":]+)', content))
    assert "127.0.0.1" in hosts
    assert {host for host in hosts if not CHROMIUMS_OWN.fullmatch(host)} <= {"127.0.0.1"}


@pytest.fixture(scope="module")
def on_a_backbone(folder, tmp_path_factory):
    """The same repository with a model on a backbone, and what features and prepare made of its training photos."""
    root = shutil.copytree(folder, tmp_path_factory.mktemp("app") / "it", ignore=shutil.ignore_patterns("temporary"))
    (root / "models/scratch_plain.keras").rename(root / "models/VGG16_finetune.keras")
    scores = SCORES | {"familiarity_threshold": COLOURFUL.threshold}
    said = EVALUATION | {"VGG16_finetune": scores, "best": "VGG16_finetune"}
    (root / "metrics/evaluate.json").write_text(json.dumps(said))
    colours = {"Cairn/1.jpg": (250, 30, 0), "Grand Bleu de Gascogne/2.jpg": (60, 200, 60), "Löwchen/3.jpg": (0, 0, 255)}
    for photo, colour in colours.items():
        (root / "data/prepared/train" / photo).parent.mkdir(parents=True)
        paint(root / f"data/prepared/train/{photo}.png", colour, (PREPARED_SIDE, PREPARED_SIDE))
    features = root / "data/features/VGG16/plain"
    features.mkdir(parents=True)
    with write_rows(features / "train.npy", (len(colours), 3), np.float32) as append:
        append(np.array(list(colours.values()), np.float32))
    write_shown(features, "train", colours)
    return root


@pytest.mark.parametrize("width", [400, 1400])
def test_a_photo_that_is_none_of_the_breeds_stands_above_the_training_photos_most_like_it(
    browser, on_a_backbone, folder, width
):
    pytest.importorskip("gradio", reason="Gradio is not here: requirements/app.txt has it")
    page = Served(on_a_backbone)
    tab = browser.new_page(viewport={"width": width, "height": 900})
    tab.goto(page.address)
    tab.wait_for_selector("input[type=file]", state="attached")
    drop(tab, folder / "photos/grey.png", folder / "photos/red.png")
    grey, red = tab.locator(".answers article").all()
    assert grey.locator(".unsure").text_content() == NONE_OF_THESE
    captions = grey.locator(".alike figcaption").all_inner_texts()
    assert captions[0] == "Grand Bleu de Gascogne, the training photo most like it"
    assert sorted(captions[1:]) == ["Cairn", "Löwchen"]
    widths = grey.locator(".alike img").evaluate_all("images => images.map(i => i.naturalWidth)")
    assert widths == [PREPARED_SIDE] * 3
    assert len(rows(tab, 0)) == len(BREEDS)
    assert (red.locator(".unsure").count(), red.locator(".alike").count()) == (0, 0)
    if "SCREENSHOTS" in os.environ:
        tab.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"unknown-{width}.png", full_page=True)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    outside = "e => { const b = e.getBoundingClientRect(); return b.left < 0 || b.right > innerWidth + 0.5 }"
    shown = tab.locator(".answers *")
    assert shown.evaluate_all(f"all => all.filter({outside}).map(e => e.outerHTML)") == []
    tab.close()
    assert page.end(signal.SIGTERM) == 0
    assert "Traceback" not in page.complaint()


# What is refused


@pytest.fixture
def client(served):
    httpx = pytest.importorskip("httpx", reason="httpx is not here: requirements/app.txt has it")
    with httpx.Client(base_url=served.address, trust_env=False, timeout=30) as client:
        yield client


def upload(client, path: Path, **headers: str):
    return client.post("/gradio_api/upload", files={"files": (path.name, path.read_bytes())}, headers=headers)


def ask(client, *files: dict) -> dict:
    """Ask about files as the page does, and give the last message of the answer."""
    data = [[{"meta": {"_type": "gradio.FileData"}, **file} for file in files]]
    body = {"data": data, "fn_index": 0, "session_hash": "test", "trigger_id": None, "event_data": None}
    assert client.post("/gradio_api/queue/join", json=body).status_code == 200
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": "test"}) as stream:
        messages = [json.loads(line.removeprefix("data:")) for line in stream.iter_lines() if line.startswith("data:")]
    (done,) = [message for message in messages if message["msg"] == "process_completed"]
    return done


def secrets(folder: Path) -> list[str]:
    """Ways to ask for files of this machine: absolute, relative, with dots, encoded, through links of the page's."""
    names = [folder / "params.yaml", folder / "models/scratch_plain.keras", "/etc/passwd", "params.yaml"]
    dotted = ["../params.yaml", "../../../../../../etc/passwd", "..%2fparams.yaml", "%2e%2e/%2e%2e/etc/passwd"]
    return [*map(str, names), *dotted, "file:///etc/passwd", "//etc/passwd", "http://127.0.0.1/", "C:/params.yaml"]


@pytest.mark.parametrize("prefix", ["/gradio_api/file=", "/file=", "/gradio_api/file/", "/static/", "/assets/"])
def test_no_file_is_given_away(client, folder, prefix):
    given = {path: client.get(prefix + path) for path in secrets(folder)}
    assert {path: answer.status_code for path, answer in given.items() if answer.status_code not in (403, 404)} == {}
    assert [
        path for path, answer in given.items() if b"root:" in answer.content or b"max_pixels" in answer.content
    ] == []


def test_not_even_an_uploaded_photo_is_given_back(client, folder, served):
    (path,) = upload(client, folder / "photos/red.png").json()
    assert Path(path) in served.uploads()
    assert client.get(f"/gradio_api/file={path}").status_code == 404


@needs_gradio
def test_gradio_itself_would_not_give_files_away_either(folder, trained, monkeypatch):
    from starlette.testclient import TestClient

    monkeypatch.chdir(folder)
    from stages.lib.serving.page import make_page

    page = make_page(trained, None, Path("models/scratch_plain.keras"), EVALUATION, MAX_PIXELS, folder / "uploads")
    page.user_middleware.clear()
    with TestClient(page, base_url="http://127.0.0.1") as client:
        assert client.get("/").status_code == 200
        given = {path: client.get(f"/gradio_api/file={path}").status_code for path in secrets(folder)[:6]}
        assert client.get("/gradio_api/info").json() == {"named_endpoints": {}, "unnamed_endpoints": {}}
    assert set(given.values()) <= {403, 404}


@pytest.mark.parametrize("path", ["/etc/passwd", "photos/red.png", "../params.yaml", "models/scratch_plain.keras"])
@pytest.mark.parametrize("more", [{}, {"is_stream": True}, {"url": "http://127.0.0.1/dog.png"}])
def test_only_what_was_uploaded_can_be_asked_about(client, folder, served, path, more):
    """Of any other file, not even whether it is there, or a picture, is told."""
    before = served.uploads()
    place = path if path.startswith("/") else str(folder / path)
    done = ask(client, {"path": place, "orig_name": "dog.png", **more})
    assert served.uploads() == before
    assert done["success"] is False
    assert done["output"]["error"] == "This page answers about files that were dropped on it alone."


def test_what_was_uploaded_can_be_asked_about(client, folder):
    (path,) = upload(client, folder / "photos/red.png").json()
    done = ask(client, {"path": path, "orig_name": "my dog.png"})
    assert done["success"] is True
    assert "my dog.png" in done["output"]["data"][0]


def test_no_address_is_fetched(client):
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0.5)
        done = ask(client, {"path": f"http://127.0.0.1:{other.getsockname()[1]}/dog.png", "orig_name": "dog.png"})
        with pytest.raises(TimeoutError):
            other.accept()
    assert done["success"] is False
    assert done["output"]["error"] == "This page answers about files that were dropped on it alone."


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "0.0.0.0", ""])
def test_another_host_is_refused_as_its_name_may_have_been_led_here(client, folder, host):
    assert client.get("/", headers={"Host": host}).status_code == 400
    assert upload(client, folder / "photos/red.png", Host=host).status_code == 400


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_a_page_from_elsewhere_is_refused(client, folder, origin, served):
    before = served.uploads()
    assert upload(client, folder / "photos/blue.jpg", Origin=origin).status_code == 403
    assert client.get("/config", headers={"Origin": origin}).status_code == 403
    assert served.uploads() == before


def test_the_page_of_its_own_address_and_by_the_name_localhost_is_served(client, served):
    assert client.get("/", headers={"Origin": served.address}).status_code == 200
    port = served.address.rpartition(":")[2]
    assert client.get("/", headers={"Host": f"localhost:{port}"}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/docs", "/redoc", "/openapi.json", "/monitoring", "/monitoring/summary", "/login", "/manifest.json",
        "/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/app_id", "/gradio_api/runs", "/gradio_api/mcp/sse",
        "/gradio_api/proxy=http://127.0.0.1/", "/gradio_api/component_server", "/gradio_api/vibe-code/",
        "/gradio_api/deep_link", "/gradio_api/call/tell", "/gradio_api/run/tell", "/gradio_api/startup-events",
        "/static/%2e%2e/config", "/assets/%2e%2e/index.html",
    ],
)  # fmt: skip
def test_what_the_page_does_not_need_is_not_there(client, path):
    assert client.get(path).status_code == 404
    assert client.post(path, json={"data": []}).status_code == 404


def test_what_is_served_says_that_nothing_from_outside_is_to_be_loaded(client):
    headers = client.get("/").headers
    assert "default-src 'self'; " in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert not re.search(r"https?:", headers["content-security-policy"])
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_an_upload_that_is_too_large_is_refused_whoever_sends_it(client, served):
    before = served.uploads()
    sent = client.post("/gradio_api/upload", files={"files": ("film.mp4", bytes(101 * 2**20))})
    assert sent.status_code == 413
    assert served.uploads() == before


@needs_gradio
def test_of_too_many_photos_the_first_are_answered_and_the_others_counted(folder, trained, monkeypatch):
    from stages.lib.serving import page

    monkeypatch.setattr(page, "MOST", 2)
    files = [page.Upload(folder / "photos" / name, name) for name in ("red.png", "notes.txt", "blue.jpg", "grey.png")]
    steps = []
    html = page.answer_uploads(trained, None, files, MAX_PIXELS, steps.append)
    assert html.count("<article>") == 1
    assert "2 more were left out" in words(html)
    assert steps == [(2, 2)]


@needs_gradio
def test_without_memory_there_is_a_sentence(folder, trained, monkeypatch):
    import gradio

    from stages.lib.serving import page

    def no_memory(*_):
        raise MemoryError("a private folder takes about 9 MB")

    monkeypatch.setattr("stages.lib.serving.answers.read_photo", no_memory)
    with pytest.raises(gradio.Error, match="There is not enough memory for these photos: try fewer"):
        page.answer_uploads(trained, None, [page.Upload(folder / "photos/red.png", "red.png")], MAX_PIXELS, print)


# What is left of photos


@needs_gradio
def test_the_copy_of_a_photo_is_deleted_after_a_while_though_others_come(folder, trained, monkeypatch, tmp_path):
    from starlette.testclient import TestClient

    from stages.lib.serving import page

    monkeypatch.chdir(folder)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr(page, "KEPT", 6)
    monkeypatch.setattr(page, "TIDY_EVERY", 0.2)
    served = page.make_page(trained, None, Path("models/scratch_plain.keras"), EVALUATION, MAX_PIXELS, tmp_path)
    with TestClient(served, base_url="http://127.0.0.1") as client:
        (copy,) = map(Path, upload(client, folder / "photos/red.png").json())
        broken_off = tmp_path / "tmp01234567"  # Gradio knows nothing of it
        broken_off.write_bytes(b"half a photo")
        assert copy.is_relative_to(tmp_path)
        time.sleep(0.5)
        assert copy.exists(), "it was swept at once"
        deadline = time.monotonic() + 30
        while (copy.exists() or broken_off.exists()) and time.monotonic() < deadline:
            (later,) = map(Path, upload(client, folder / "photos/blue.jpg").json())
            time.sleep(0.1)
        assert (copy.exists(), broken_off.exists(), later.exists()) == (False, False, True)


@needs_gradio
def test_the_ten_minutes_that_are_promised_hold():
    from stages.lib.serving import page

    assert page.KEPT + page.TIDY_EVERY < 600
    assert "within ten minutes" in (page_content.FOLDER / "page_about.html.jinja").read_text(encoding="utf-8")


# Its end


@pytest.mark.parametrize("interrupted_by", [signal.SIG_DFL, signal.SIG_IGN], ids=["terminal", "background"])
def test_ctrl_c_ends_it_with_a_browser_open_and_leaves_nothing(folder, browser, tmp_path, interrupted_by):
    pytest.importorskip("gradio", reason="Gradio is not here: requirements/app.txt has it")
    shutil.copytree(folder, tmp_path / "again", ignore=shutil.ignore_patterns("temporary"))
    page = Served(tmp_path / "again", "--model", "scratch_plain", interrupted_by=interrupted_by)
    tab = browser.new_page()
    tab.goto(page.address)
    tab.wait_for_selector("input[type=file]", state="attached")
    drop(tab, folder / "photos/red.png")
    assert len(page.uploads()) == 1
    assert page.end(signal.SIGINT) == 0
    assert page.process.stdout.read() == "ended\n"
    assert list(page.temporary.iterdir()) == []
    assert "Traceback" not in page.complaint()
    tab.close()
