"""The report: charts, pictures and one page, from numbers that others wrote."""

import base64
import hashlib
import io
import re

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image
from test_prepare import ODD_NAMES

from stages.lib.core import paths
from stages.lib.core.models import MODELS
from stages.lib.core.params import load_params
from stages.lib.core.splits import SPLITS
from stages.lib.evaluation.comparisons import compare_models
from stages.lib.evaluation.scores import classification_report, compute_scores
from stages.lib.reporting import charts, report, score_charts, sections, sheets
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


def written(tmp_path, monkeypatch, **changes) -> str:
    monkeypatch.chdir(tmp_path)
    report.write_report(report_content() | changes, load_params(ROOT / "params.yaml"))
    return " ".join((paths.PLOTS / "report.html").read_text().split())


@pytest.mark.parametrize(
    ("found", "shown", "words"),
    [
        ({"judged": True, "suspicious": 0}, 0, "Of the photos of train and val, none."),
        ({"judged": False, "suspicious": 0}, 0, "Not looked for: it takes 5 photos of each breed in train and val;"),
        ({"judged": True, "suspicious": 2}, 2, "2 photos of train and val, most suspicious first (plots/susp"),
        ({"judged": True, "suspicious": 9}, 2, "9 photos of train and val, of which the first 2 are shown, most susp"),
    ],
    ids=["none", "too few photos", "all shown", "some shown"],
)
def test_report_says_what_was_found_of_wrong_labels(tmp_path, monkeypatch, found, shown, words):
    content = report_content()
    rows = content["suspicious"] * shown
    page = written(tmp_path, monkeypatch, label_errors=content["label_errors"] | found, suspicious=rows)
    assert words in page
    assert page.count("looks like") == shown


def test_report_says_that_views_are_averaged_where_they_are(tmp_path, monkeypatch, write_params):
    words = "All probabilities here are means over a photo and its mirror image (evaluate.views)"
    assert words not in written(tmp_path, monkeypatch)
    write_params(tmp_path / "params.yaml", **{"evaluate.views": 2})
    report.write_report(report_content(), load_params(tmp_path / "params.yaml"))
    assert words in " ".join((paths.PLOTS / "report.html").read_text().split())


def test_report_of_many_breeds_folds_what_is_long(tmp_path, monkeypatch):
    content = report_content()
    rows = [row | {"breed": f"breed_{place}"} for place in range(20) for row in content["breeds"][:1]]
    page = written(tmp_path, monkeypatch, breeds=rows, many_breeds=True)
    folded = re.findall(r"<details( open)?><summary>(.*?)</summary>", page)
    assert folded == [
        ("", "Precision, recall and F1 of all 20 breeds"),
        *((" open" if model == "finetune" else "", model) for model in MODELS),
    ]
    assert "Confusion matrices" not in page
    assert "<details" not in written(tmp_path, monkeypatch)


def test_a_long_name_on_the_page_may_be_cut_between_its_words(tmp_path, monkeypatch):
    (photo,) = report_content()["worst"]
    page = written(tmp_path, monkeypatch, worst=[photo | {"actual": "soft-coated_wheaten", "photo": "a/b_c.jpg"}])
    assert "soft-<wbr>coated_<wbr>wheaten" in page
    assert "a/<wbr>b_c.jpg" in page


@pytest.fixture
def pictures(tmp_path, monkeypatch, draw_photo):
    """Two prepared training photos of each of two breeds, and when called, as many views of each as are asked for."""
    monkeypatch.chdir(tmp_path)
    rows = [{"file": f"{breed}/{number}.jpg", "breed": breed, "split": "train"} for breed in "AB" for number in (1, 2)]
    for place, row in enumerate(rows):
        path = sheets.TRAIN / f"{row['file']}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_photo(place, (32, 32)).save(path)
    tested = {"file": "A/3.jpg", "breed": "A", "split": "test"}
    pd.DataFrame([*rows, tested]).to_csv(paths.PREPARED / "manifest.csv", index=False)

    def make_views(copies: int) -> None:
        views = []
        for place, row in enumerate(rows):
            for copy in range(copies):
                views.append({"view": f"{row['file']}.{copy}.png", "photo": f"{row['file']}.png", "copy": copy})
                path = sheets.VIEWS / views[-1]["view"]
                path.parent.mkdir(parents=True, exist_ok=True)
                draw_photo(100 + 10 * place + copy, (32, 32)).save(path)
        sheets.VIEWS.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(views, columns=["view", "photo", "copy"]).to_csv(sheets.VIEWS / "views.csv", index=False)

    return make_views


def shown(figure) -> list[list[np.ndarray]]:
    """The pictures of a sheet, row by row."""
    rows = {}
    for axes in figure.axes:
        rows.setdefault(axes.get_subplotspec().rowspan.start, []).extend(each.get_array() for each in axes.get_images())
    charts.plt.close(figure)
    return [list(map(np.asarray, rows[row])) for row in sorted(rows)]


def read(path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_a_sheet_shows_training_photos_of_each_breed_and_no_test_photo(pictures):
    pictures(copies=0)
    found = shown(sheets.training_pictures())
    for row, breed in zip(found, "AB", strict=True):
        np.testing.assert_array_equal(row, [read(sheets.TRAIN / f"{breed}/{number}.jpg.png") for number in (1, 2)])


@pytest.mark.parametrize("copies", [0, 3])
def test_a_sheet_shows_a_photo_of_each_breed_beside_its_views_or_alone_where_there_are_none(pictures, copies):
    pictures(copies)
    figure = sheets.random_views()
    charts.save(figure, paths.PLOTS / "augmentation.jpg")
    with Image.open(paths.PLOTS / "augmentation.jpg") as sheet:
        assert sheet.width > 100 < sheet.height
        assert sheet.width > sheet.height or copies == 0
    for row, breed in zip(shown(figure), "AB", strict=True):
        views = [sheets.VIEWS / f"{breed}/1.jpg.{copy}.png" for copy in range(copies)]
        np.testing.assert_array_equal(row, [read(path) for path in (sheets.TRAIN / f"{breed}/1.jpg.png", *views)])


ANY_NAMES = ["Costs $5", "$x^^2$", "NA", "null", "1", "2", "_x", "a&b <i>", *ODD_NAMES]


@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
@pytest.mark.parametrize("breeds", [ANY_NAMES[:8], ANY_NAMES[8:20], ANY_NAMES[20:]], ids=["few", "odd", "odder"])
def test_a_breed_may_have_any_name_on_a_chart(tmp_path, draw_photo, breeds):
    """Dollars, for one, are not taken for mathematics."""
    draw_photo(1, (32, 32)).save(tmp_path / "it.png")
    photos = pd.DataFrame([(breed, split, 9) for breed in breeds for split in SPLITS])
    recalls = pd.DataFrame([(model, breed, 0.5) for model in MODELS for breed in breeds])
    places = np.arange(len(breeds))
    figures = {
        "balance.png": charts.class_balance(photos.set_axis(["breed", "split", "photos"], axis=1)),
        "sheet.jpg": charts.contact_sheet({breed: [tmp_path / "it.png"] for breed in breeds}, "Title"),
        "confusion.png": score_charts.confusion(places, places, breeds, "title"),
        "recall.png": score_charts.recalls(recalls.set_axis(["model", "breed", "recall"], axis=1), "9 test photos"),
    }
    for name, figure in figures.items():
        charts.save(figure, tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert np.asarray(image.convert("RGB")).std() > 5
    labels = [label.get_text() for label in figures["confusion.png"].axes[0].get_yticklabels()]
    assert labels == breeds


def test_a_chart_of_photos_has_a_bar_for_each_breed_and_split():
    rows = [("A", "test", 2), ("A", "train", 5), ("A", "val", 1), ("B", "train", 9)]
    figure = charts.class_balance(pd.DataFrame(rows, columns=["breed", "split", "photos"]))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["B", "A"], "the largest first"
    bars = {bars.get_label(): [bar.get_width() for bar in bars] for bars in axes.containers}
    assert bars == {"train": [9, 5], "val": [0, 1], "test": [0, 2]}
    charts.plt.close(figure)


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
