"""What predict prints, and when: as each batch is answered, so that no number of photos is too many."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import keras
import pytest
from conftest import slow_but
from small_classifiers import small_classifier

from stages import app, predict
from stages.lib.core.errors import run
from stages.lib.engines.engine import LocalEngine
from stages.lib.networks.classifiers import scratch_network
from stages.lib.networks.model_files import save_classifier

PHOTOS = 70  # three batches


@pytest.fixture
def place(tmp_path, draw_photo, write_params, monkeypatch):
    """A folder of photos with a file that is none, and a model that nobody trained."""
    (tmp_path / "photos").mkdir()
    for number in range(PHOTOS):
        draw_photo(number, (40, 40)).save(tmp_path / f"photos/{number:02}.png")
    (tmp_path / "photos/40 no photo.png").write_text("a text")
    write_params(tmp_path / "params.yaml")
    keras.utils.set_random_seed(1)
    save_classifier(small_classifier(scratch_network(32, 2, 0.1), ["Löwchen", "Pug"], size=40), tmp_path / "it.keras")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(monkeypatch, *options):
    monkeypatch.setattr(sys, "argv", ["predict", "photos", "--model", "it.keras", *options])
    with pytest.raises(SystemExit) as ended:
        run(predict.main)
    return ended.value.code


@pytest.mark.parametrize("command", [predict, app])
def test_help_is_given_outside_a_repository_too(tmp_path, run_stage, capsys, command):
    assert run_stage(command.main, tmp_path, "--help") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "a model's name, such as scratch_plain, or a .keras, .onnx or .tflite file; the best on val if not" in told


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["words", "json"])
@pytest.mark.usefixtures("place")
def test_the_answers_of_a_batch_are_printed_before_the_next_one_is_asked(monkeypatch, capsys, options):
    printed = []

    class Watched(LocalEngine):
        def batches(self, *arguments):
            for found in super().batches(*arguments):
                printed.append(capsys.readouterr().out)
                yield found

    @contextmanager
    def start_watched(engine, address):  # noqa: ARG001
        yield Watched()

    monkeypatch.setattr(predict, "start_engine", start_watched)
    assert call(monkeypatch, *options) == 1
    printed.append(capsys.readouterr().out)
    assert [text.count(".png") for text in printed] == [0, 8, 8, 8, 8, 8, 7, 8, 8, 7]


@pytest.mark.usefixtures("place")
def test_json_is_one_list_of_all_answers_in_order(monkeypatch, capsys):
    assert call(monkeypatch, "--json") == 1
    out, err = capsys.readouterr()
    answers = json.loads(out)
    assert [answer["photo"] for answer in answers] == [f"photos/{number:02}.png" for number in range(PHOTOS)]
    assert out == json.dumps(answers, indent=2, ensure_ascii=False) + "\n"
    assert "not read: photos/40 no photo.png: " in err


@pytest.mark.parametrize(("terminal", "told"), [(False, True), (True, False)], ids=["a file", "a terminal"])
@pytest.mark.usefixtures("place")
def test_a_bar_tells_how_far_it_is_where_the_answers_do_not(monkeypatch, capsys, terminal, told):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert call(monkeypatch) == 1
    assert (f"| {PHOTOS + 1}/{PHOTOS + 1} [" in capsys.readouterr().err) == told


@pytest.mark.parametrize("members", [[], [{"photo": "a\u2028b\nc", "breeds": []}], [{"a": [1, 2]}, {"b": {"c": None}}]])
def test_a_list_that_is_printed_piece_by_piece_is_what_json_would_make_of_it(capsys, members):
    printed = predict.JsonList()
    for member in members:
        printed.print([member])
    printed.print([])
    printed.end()
    assert capsys.readouterr().out == json.dumps(members, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("unbuffered", slow_but(["", "1"], ""))
def test_when_nobody_reads_on_it_ends_without_a_traceback(place, root, unbuffered):
    (place / "stages").symlink_to(root / "stages")
    process = subprocess.Popen(
        [sys.executable, "-m", "stages.predict", "photos", "--model", "it.keras"],
        cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )  # fmt: skip
    process.stdout.close()
    complaints = process.stderr.read()
    assert process.wait(300) == 1
    assert "Traceback" not in complaints
    assert "BrokenPipe" not in complaints
