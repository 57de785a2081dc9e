"""The report: charts, pictures and one page, from numbers that others wrote."""

import base64
import hashlib
import io
import re

import numpy as np
import pandas as pd
from conftest import ROOT
from PIL import Image

from stages.lib.core import paths
from stages.lib.core.models import MODELS
from stages.lib.core.params import load_params
from stages.lib.evaluation.comparisons import compare_models
from stages.lib.evaluation.scores import classification_report, compute_scores
from stages.lib.reporting import charts, report, score_charts, sections
from stages.lib.reporting.embedding import embed_photo


def test_the_hash_of_the_test_split_depends_on_its_photos_and_on_no_other():
    manifest = pd.DataFrame({"split": ["test", "train", "test"], "sha256": ["aa", "bb", "cc"]})
    expected = hashlib.sha256(b"aa\ncc\n").hexdigest()
    assert sections.hash_of_test(manifest) == expected
    assert sections.hash_of_test(manifest.assign(sha256=["aa", "dd", "cc"])) == expected
    assert sections.hash_of_test(manifest.assign(sha256=["aa", "bb", "dd"])) != expected


def test_confusion_matrix_shows_counts_with_actual_breeds_as_rows():
    actual, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0, 2])
    figure = score_charts.confusion(actual, predicted, ["a", "b", "c"], "title")
    axes = figure.axes[0]
    cells = [text.get_text().split("\n") for text in axes.texts]
    numbers = np.array([int(count) for count, _ in cells]).reshape(3, 3)
    assert numbers.tolist() == [[1, 2, 0], [1, 1, 0], [0, 0, 1]]
    assert [share for _, share in cells] == ["33%", "67%", "0%", "50%", "50%", "0%", "0%", "0%", "100%"]
    assert np.trace(numbers) / numbers.sum() == compute_scores(actual, np.eye(3)[predicted], 0.95)["accuracy"]
    colours = axes.collections[0].get_array().reshape(3, 3)
    np.testing.assert_allclose(colours, [[1 / 3, 2 / 3, 0], [1 / 2, 1 / 2, 0], [0, 0, 1]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("actual breed", "predicted breed")


def test_confusion_matrix_keeps_the_place_of_a_breed_that_never_comes_up():
    figure = score_charts.confusion(np.array([0, 2]), np.array([0, 2]), ["a", "b", "c"], "title")
    numbers = [int(text.get_text().split("\n")[0]) for text in figure.axes[0].texts]
    assert numbers == [1, 0, 0, 0, 0, 0, 0, 0, 1]


def test_a_chart_is_saved_in_a_palette_that_nobody_sees_and_in_the_same_bytes_each_time(tmp_path):
    history = pd.DataFrame({name: np.linspace(0, 1, 9) for name in ("step", "accuracy", "val_accuracy", "loss")})
    histories = {model: history.assign(val_loss=place) for place, model in enumerate(MODELS, start=1)}
    score_charts.learning_curves(histories).savefig(tmp_path / "all_colours.png")
    for name in ("one.png", "other.png"):
        charts.save(score_charts.learning_curves(histories), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()
    with Image.open(tmp_path / "one.png") as saved, Image.open(tmp_path / "all_colours.png") as drawn:
        assert saved.mode == "P"
        difference = np.asarray(saved.convert("RGB")).astype(int) - np.asarray(drawn.convert("RGB"))
    assert np.abs(difference).max() < 20
    assert (tmp_path / "one.png").stat().st_size < 0.5 * (tmp_path / "all_colours.png").stat().st_size


def report_content() -> dict:
    """All that the report's template asks for, with names that would be markup if they were not escaped."""
    breeds = ["<b>Bold</b>", "Other"]
    actual = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    scores = compute_scores(actual, probabilities, 0.95) | {
        **{"scaled_ece": 0.1, "scaled_log_loss": 0.2, "scaled_brier": 0.3, "temperature": 1.5},
        **{"threshold": None, "val_coverage": 0.0, "coverage": 0.0, "selective_accuracy": None},
        **{"parameters": 1000, "megabytes": 1.5},
    }
    comparisons = compare_models({model: probabilities.argmax(axis=1) == actual for model in MODELS}, 0.95)
    photo = {"photo": "<i>.jpg", "actual": breeds[0], "predicted": breeds[1], "confidence": 0.5, "picture": "data:,"}
    suspicious = photo | {"labelled": breeds[0], "suggested": breeds[1], "suggested_probability": 0.9}
    return {
        "answer": "All is <well>.",
        "caveats": ["Beware of <dogs>."],
        "subject": "4 test photos",
        "best": "finetune",
        "test_hash": "abc",
        "scores": dict.fromkeys(MODELS, scores),
        "comparisons": comparisons.assign(augmentation=False).to_dict("records"),
        "breeds": classification_report(actual, probabilities.argmax(axis=1), breeds).to_dict("records"),
        "charts": dict.fromkeys(sections.CHARTS, "data:,"),
        "data_size_answer": "More <photos> would help.",
        "matrices": dict.fromkeys(MODELS, "data:,"),
        "many_breeds": False,
        "pairs": [{"one": "a", "other": "b", "one_as_other": 1, "other_as_one": 0, "sides": [[photo], []]}],
        "worst": [photo],
        "explained": {"Right": [], "Wrong": [photo | {"heat": "data:,"}]},
        "label_errors": {"judged": True, "folds": 5, "photos": 40, "suspicious": 3},
        "suspicious": [suspicious],
    }


def test_report_is_one_page_that_escapes_names_and_needs_nothing_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report.write_report(report_content(), load_params(ROOT / "params.yaml"))
    page = (paths.PLOTS / "report.html").read_text()
    assert "&lt;b&gt;Bold&lt;/b&gt;" in page
    assert "<b>Bold" not in page
    assert "<i>" not in page
    assert "Beware of &lt;dogs&gt;." in page
    assert page.index("All is &lt;well&gt;.") < page.index("Beware of")
    assert page.count("75.0 %") >= len(MODELS)
    pictures = re.findall(r"<img[^>]*>", page)
    assert len(pictures) == 6 + 5 + 1 + 1 + 2 + 1
    assert "More &lt;photos&gt; would help." in page
    assert [
        picture for picture in pictures if 'src="data:' not in picture or not re.search('alt="[^"]+"', picture)
    ] == []
    assert re.search(r"(src|href)=.?(?!data:)\w", page.replace('src="data:', "")) is None
    assert "http" not in page
    assert "<td>evaluate.confidence_level</td><td>0.95</td>" in page


def test_report_is_the_same_each_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pages = []
    for _ in range(2):
        report.write_report(report_content(), load_params(ROOT / "params.yaml"))
        pages.append((paths.PLOTS / "report.html").read_bytes())
    assert pages[0] == pages[1]


def test_a_photo_on_the_page_is_small_and_the_same_each_time(draw_photo):
    photo = draw_photo(1, (2000, 1000))
    found = embed_photo(photo)
    content = base64.b64decode(found.removeprefix("data:image/jpeg;base64,"))
    with Image.open(io.BytesIO(content)) as small:
        assert small.size == (224, 112)
    assert embed_photo(photo) == found
    assert len(found) < 40_000


def test_dvcs_page_has_the_places_that_dvc_fills_in(root):
    page = (root / ".dvc/plots/page.html").read_text()
    assert [name for name in ("{refresh_tag}", "{scripts}", "{plot_divs}") if page.count(name) != 1] == []
