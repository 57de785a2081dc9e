"""The report: charts, pictures and one page, from numbers that others wrote."""

import base64
import hashlib
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from PIL import Image
from test_prepare import ODD_NAMES

from stages.lib.core import paths
from stages.lib.core.models import list_families, list_scorers, plan_comparisons
from stages.lib.core.params import load_params
from stages.lib.core.splits import SPLITS
from stages.lib.evaluation import calibration, selective
from stages.lib.evaluation.answer import answer_in_a_sentence
from stages.lib.evaluation.comparisons import compare_models
from stages.lib.evaluation.notice import LeftOut
from stages.lib.evaluation.scores import classification_report, compute_scores
from stages.lib.reporting import (
    charts,
    drawings,
    familiarity_charts,
    report,
    score_charts,
    sections,
    sheets,
    training_charts,
)
from stages.lib.reporting.embedding import embed_photo


def names_of(families) -> list[str]:
    return [model for models in families.values() for model in models]


FAMILIES = list_families(["VGG16", "EfficientNetLite2"])
MODELS = names_of(FAMILIES)
BEST = "EfficientNetLite2_finetune"
MANY = list_families([f"EfficientNetLite{number}_at_260_pixels" for number in range(6)])
LEVEL = 0.95


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
    training_charts.learning_curves(histories, FAMILIES).savefig(tmp_path / "all_colours.png")
    for name in ("one.png", "other.png"):
        charts.save(training_charts.learning_curves(histories, FAMILIES), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()
    with Image.open(tmp_path / "one.png") as saved, Image.open(tmp_path / "all_colours.png") as drawn:
        assert saved.mode == "P"
        difference = np.asarray(saved.convert("RGB")).astype(int) - np.asarray(drawn.convert("RGB"))
    assert np.abs(difference).max() < 20
    assert (tmp_path / "one.png").stat().st_size < 0.5 * (tmp_path / "all_colours.png").stat().st_size


NOTICED = {  # what evaluate found of what tells how familiar a photo is
    "familiarity_threshold": 0.4, "known_photos": 1234, "due_low": 0.021, "due_high": 0.064,
    "turned_away": 0.045, "turned_away_low": 0.02, "turned_away_high": 0.09, "unknown_photos": 60,
    "unknown_turned_away": 0.75, "unknown_turned_away_low": 0.63, "unknown_turned_away_high": 0.84,
    "unknown_auc": 0.97, "unknown_auc_low": 0.95, "unknown_auc_high": 0.99,
}  # fmt: skip
ROW = {  # of a breed that was left out
    "breed": "<u>Akita</u>", "photos": 50, "known_photos": 100, "auc": 0.9, "turned_away": 0.62, "turned_away_low": 0.4,
    "turned_away_high": 0.8, "passes_for": "Borzoi", "passes_for_share": 0.71,
}  # fmt: skip
LEFT_OUT = LeftOut({"turned_away": 0.613, "turned_away_low": 0.33, "turned_away_high": 0.89}, [ROW])
ALIKE = [{"breed": breed, "picture": "data:,"} for breed in ("Akita", "Akita", "<b>Bold</b>")]

RANKED = pd.DataFrame({
    "breed": ["<b>Bold</b>", "Other"], "photos": [10, 30], "log_loss": [0.9, 0.3], "standard_error": [0.25, 0.05],
    "loss_per_photo": [0.09, 0.01],
})  # fmt: skip
NO_FIXES = {what: dict.fromkeys(("train", "val", "test"), 0) for what in ("kept", "moved", "dropped")}
MENDED = {
    "photos": 20, "mended": 2, "accuracy": 0.9, "log_loss": 0.3, "accuracy_as_came": 0.8, "log_loss_as_came": 0.4,
    "only_as_mended": 2, "only_as_came": 0, "p": 0.5,
}  # fmt: skip


def report_content(families=FAMILIES, best=BEST) -> dict:
    """All that the report's template asks for, with names that would be markup if they were not escaped."""
    breeds = ["<b>Bold</b>", "Other"]
    actual = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])
    scores = compute_scores(actual, probabilities, 0.95) | {
        **{"scaled_ece": 0.1, "scaled_log_loss": 0.2, "scaled_brier": 0.3, "temperature": 1.5},
        **{"threshold": None, "val_coverage": 0.0, "coverage": 0.0, "selective_accuracy": None},
    }
    models = names_of(families)
    costs = {"parameters": 1000, "megabytes": 1.5, "training_seconds": 30.0, "milliseconds_batch_1": 21.4}
    right = dict.fromkeys(models, probabilities.argmax(axis=1) == actual)
    comparisons = compare_models(right, plan_comparisons(families, best), LEVEL)
    photo = {"photo": "<i>.jpg", "actual": breeds[0], "predicted": breeds[1], "confidence": 0.5, "picture": "data:,"}
    suspicious = photo | {"labelled": breeds[0], "suggested": breeds[1], "suggested_probability": 0.9}
    return {
        "answer": "All is <well>.",
        "caveats": ["Beware of <dogs>."],
        "subject": "4 test photos",
        "best": best,
        "test_hash": "abc",
        "scores": dict.fromkeys(models, scores),
        "costs": dict.fromkeys(models, costs),
        "prepared": {name: {"photos": {"seconds": 20.0}, "views": {"seconds": 80.0}} for name in list(families)[1:]},
        "comparisons": comparisons.to_dict("records"),
        "breeds": classification_report(actual, probabilities.argmax(axis=1), breeds).to_dict("records"),
        "charts": dict.fromkeys(sections.CHARTS, "data:,"),
        "data_size_answer": "More <photos> would help.",
        **sections.more_photos(RANKED),
        "matrices": dict.fromkeys(models, "data:,"),
        "many_breeds": False,
        "families_of_breeds": [],
        "family_share": 0.02,
        "pairs": [{"one": "a", "other": "b", "one_as_other": 1, "other_as_one": 0, "sides": [[photo], []]}],
        "worst": [photo],
        "notice": "Few <cats> pass.",
        "scorers": [
            {"name": name, **NOTICED, "left_out": None if name == model else LEFT_OUT}
            for name, model in list_scorers(families).items()
        ],
        "left_out_of_best": LEFT_OUT,
        "unknown_source": "photos/of <cats>",
        "mistaken": {"unknown": [photo | {"p_value": 0.123, "alike": ALIKE}], "test": []},
        "explained": {"Right": [], "Wrong": [photo | {"heat": "data:,"}]},
        "label_errors": {"judged": True, "folds": 5, "photos": 40, "suspicious": 3},
        "suspicious": [suspicious],
        "label_fixes": NO_FIXES,
        "mended": MENDED,
    }


def test_decisions_about_labels_are_counted_and_both_scores_are_told(tmp_path, monkeypatch):
    assert "Labels that a person decided about" not in written(tmp_path, monkeypatch)
    fixes = NO_FIXES | {"moved": {"train": 4, "val": 0, "test": 2}}
    page = " ".join(written(tmp_path, monkeypatch, label_fixes=fixes).split())
    assert "<tr><th>moved</th><td>4</td><td>0</td><td>2</td></tr>" in page
    assert "is right about 90.0 % by the labels as mended (log loss 0.300), and about 80.0 %" in page
    assert "about 2 as mended alone, about 0 as they came alone (exact McNemar test, p = 0.500)" in page
    page = written(tmp_path, monkeypatch, label_fixes=fixes, mended=MENDED | {"mended": 0})
    assert "No label of a test photo that is used was changed" in page


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
    assert len(pictures) == len(sections.CHARTS) + len(MODELS) + 1 + 1 + 2 + 1 + 1 + len(ALIKE)
    assert "More &lt;photos&gt; would help." in page
    assert [
        picture for picture in pictures if 'src="data:' not in picture or not re.search('alt="[^"]+"', picture)
    ] == []
    assert re.search(r"(src|href)=.?(?!data:)\w", page.replace('src="data:', "")) is None
    assert "http" not in page
    assert "<td>evaluate.confidence_level</td><td>0.95</td>" in page
    assert "<td>backbones.VGG16.network</td><td>VGG16</td>" in page


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


def rows_below(page: str, heading: str) -> list[list[str]]:
    """The cells of each row of the first table below a heading."""
    table = page[page.index(heading) :]
    rows = re.findall(r"<tr[ >].*?</tr>", table[: table.index("</table>")])
    return [
        [re.sub("<[^>]*>", "", cell.replace("<br>", " ")) for cell in re.findall(r"<t[dh].*?</t[dh]>", row)]
        for row in rows
    ]


def test_report_of_more_than_ten_breeds_tells_the_first_five_and_families_of_breeds(tmp_path, monkeypatch):
    content = report_content()
    scores = {model: score | {"top5_accuracy": 0.875} for model, score in content["scores"].items()}
    family = {"breeds": "Akita, Dingo", "photos": 20, "accuracy": 0.7, "family_accuracy": 0.95, "within": 5}
    page = written(tmp_path, monkeypatch, scores=scores, families_of_breeds=[family])
    head, *rows = rows_below(page, "The models, on")
    assert head[3] == "among the first five"
    assert {row[3] for row in rows} == {"87.5 %"}
    assert rows_below(page, "Families of breeds that it takes for each other")[1:] == [
        ["Akita, Dingo", "20", "70.0 %", "95.0 %", "5"]
    ]


def test_report_shows_the_ten_breeds_to_begin_with_of_many_and_all_of_few(tmp_path, monkeypatch):
    rows = rows_below(written(tmp_path, monkeypatch), "Which breed to begin with")
    assert rows == [
        ["breed", "photos of train and val", "log loss, nats", "log loss ÷ photos"],
        ["&lt;b&gt;Bold&lt;/b&gt;", "10", "0.900 ± 0.250", "0.0900"],
        ["Other", "30", "0.300 ± 0.050", "0.0100"],
    ]
    many = pd.concat([RANKED.assign(breed=f"breed {place}") for place in range(6)])
    page = written(tmp_path, monkeypatch, **sections.more_photos(many))
    assert len(rows_below(page, "The 10 breeds to begin with")) == 1 + 10
    assert "plots/more_photos.csv has all 12." in page


def test_report_says_what_each_model_costs_and_what_it_takes_to_try_a_backbone(tmp_path, monkeypatch):
    content = report_content()
    costs = {model: content["costs"][model] | {"training_seconds": place} for place, model in enumerate(MODELS)}
    page = written(tmp_path, monkeypatch, costs=costs)
    head, *rows = rows_below(page, "What does each cost?")
    assert head == [
        "model",
        "parameters",
        "megabytes",
        "ms a photo",
        "training, s",
    ]
    assert rows == [[model, "1,000", "1.5", "21.4", f"{place}.0"] for place, model in enumerate(MODELS)]
    head, *rows = rows_below(page, "What does it take to try a backbone?")
    assert [len(row) for row in rows] == [len(head)] * 2
    assert rows == [
        ["VGG16", "20.0", "80.0", "2.0", "3.0", "4.0", "109.0"],
        ["EfficientNetLite2", "20.0", "80.0", "5.0", "6.0", "7.0", "118.0"],
    ]


def test_report_has_each_comparison_below_the_question_that_it_answers(tmp_path, monkeypatch):
    page = written(tmp_path, monkeypatch)
    questions = {
        "augmentation": "Does augmentation help?",
        "finetuning": "Does fine-tuning help?",
        "best": f"Is {BEST} better than the others?",
    }
    planned = plan_comparisons(FAMILIES, BEST)
    assert {question for question, *_ in planned} == set(questions)
    for question, heading in questions.items():
        _, *rows = rows_below(page, heading)
        pairs = [(first, second) for asked, first, second in planned if asked == question]
        assert [row[0].split(" can")[0] for row in rows] == [f"{first} and {second}" for first, second in pairs]
    assert f"p values after Holm for {len(planned)} tests" in page


def test_report_names_the_backbone_whose_features_are_looked_at(tmp_path, monkeypatch, write_params):
    write_params(tmp_path / "params.yaml", main_backbone="VGG16")
    monkeypatch.chdir(tmp_path)
    report.write_report(report_content(), load_params(tmp_path / "params.yaml"))
    page = " ".join((paths.PLOTS / "report.html").read_text().split())
    assert "A logistic regression on the features of VGG16, fitted to an eighth" in page
    assert "what a logistic regression on the features of VGG16 thinks" in page


@pytest.mark.parametrize("families", [list_families(["VGG16"]), MANY], ids=["5 models", "20 models"])
def test_report_names_each_model_in_each_table_and_folds_matrices_of_many(
    tmp_path, monkeypatch, write_params, families
):
    models, (_, *backbones) = names_of(families), families
    best = models[-1]
    section = load_params(ROOT / "params.yaml").backbones["VGG16"].model_dump()
    write_params(tmp_path / "params.yaml", backbones=dict.fromkeys(backbones, section), main_backbone=backbones[0])
    monkeypatch.chdir(tmp_path)
    report.write_report(report_content(families, best), load_params(tmp_path / "params.yaml"))
    page = " ".join((paths.PLOTS / "report.html").read_text().split())
    for heading in ("<h2>The models, on", "What does each cost?", "Can its confidence", "When to say"):
        assert [row[0] for row in rows_below(page, heading)] == ["model", *models]
    assert [row[0] for row in rows_below(page, "to try a backbone?")] == ["backbone", *backbones]
    folded = re.findall(r"<details( open)?><summary>(.*?)</summary>", page)
    assert folded == [(" open" if model == best else "", model) for model in models if len(models) > 6]
    assert [model for model in models if f"Confusion matrix of {model}:" not in page] == []


def compared(**others: tuple[float, float]) -> pd.DataFrame:
    """Comparisons of the model "best" with others, by difference and p value, and one of two others."""
    rows = [("best", other, *found) for other, found in others.items()]
    return pd.DataFrame([*rows, ("x", "y", 0.5, 0.001)], columns=["first", "second", "difference", "p_holm"])


def answer(comparisons: pd.DataFrame, milliseconds: float = 21.3) -> str:
    scores = {"accuracy": 0.983, "accuracy_low": 0.957, "accuracy_high": 0.993}
    costs = {"milliseconds_batch_1": milliseconds, "megabytes": 19.62}
    return answer_in_a_sentence("best", scores, costs, comparisons, "233 test photos", LEVEL)


def test_the_answer_tells_milliseconds_as_exactly_as_they_were_measured():
    others = compared(A=(0.2, 0.01))
    for milliseconds, words in ((21.3, " at 21 ms a photo and 19.6 MB"), (1.72, " at 1.7 ms a photo and 19.6 MB")):
        assert words in answer(others, milliseconds)


@pytest.mark.parametrize(
    ("beats", "beaten_by", "like", "words"),
    [
        (4, 0, 0, "it beats a0, a1, a2 and a3."),
        (19, 0, 0, "it beats the other 19."),
        (17, 0, 2, "it can't be told apart from c0 and c1 and beats the other 17."),
        (1, 1, 17, "it beats a0, is beaten by b0 and can't be told apart from the other 17."),
        (10, 1, 8, "it is beaten by b0, beats 10 others and can't be told apart from 8 others."),
    ],
)
def test_the_answer_stays_short_with_many_models(beats, beaten_by, like, words):
    others = {f"a{place}": (0.1, 0.01) for place in range(beats)}
    others |= {f"b{place}": (-0.1, 0.01) for place in range(beaten_by)}
    others |= {f"c{place}": (0.1, 0.5) for place in range(like)}
    assert answer(compared(**others)).endswith(f"; {words}")


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


def test_report_says_what_each_backbone_and_each_cnn_notices_and_of_which_breed_least(tmp_path, monkeypatch):
    page = written(tmp_path, monkeypatch)
    assert "<p>Few &lt;cats&gt; pass.</p>" in page
    assert "Anything else: photos/of &lt;cats&gt; (data.unknown)." in page
    head, *rows = rows_below(page, "Does it notice what it does not know?")
    assert [row[0] for row in rows] == [*FAMILIES["scratch"], "VGG16", "EfficientNetLite2"]
    assert {len(row) for row in rows} == {len(head)}
    told = ["1,234", "2.1 % to 6.4 %", "4.5 % 2.0 % to 9.0 %", "75.0 % 63.0 % to 84.0 %", "0.970 0.950 to 0.990"]
    assert rows[0][1:] == [*told, "–"]
    assert rows[-1][1:] == [*told, "61.3 % 33.0 % to 89.0 %"]
    _, row = rows_below(page, "Were a breed not among the known ones")
    assert row == ["&lt;u&gt;Akita&lt;/u&gt;", "50", "62.0 %", "40.0 % to 80.0 %", "0.900", "Borzoi (71.0 %)"]


def test_report_shows_what_passes_for_known_beside_the_training_photos_most_like_it_and_says_none_where_none_is(
    tmp_path, monkeypatch
):
    page = written(tmp_path, monkeypatch)
    of_unknown, of_test = re.findall(r"<h3>(?:Photos of anything|Test photos that are turned).*?(?=<h[23]>)", page)
    assert of_unknown.count("<figure>") == 1
    assert re.findall('alt="([^"]*)"', of_unknown) == [
        "&lt;i&gt;.jpg",
        "Akita, the training photo most like it",
        "Akita, the next",
        "&lt;b&gt;Bold&lt;/b&gt;, the next",
    ]
    assert "12.3 % of known photos are no more familiar" in of_unknown
    assert "the training photos most like it, of Akita, &lt;b&gt;Bold&lt;/b&gt;" in of_unknown
    assert "<p>None.</p>" in of_test
    assert "<figure>" not in of_test


def test_report_without_unknown_photos_or_with_too_few_known_ones_or_of_a_cnn_leaves_out_what_there_is_not(
    tmp_path, monkeypatch
):
    content = report_content()
    bare = {name: value for name, value in NOTICED.items() if not name.startswith("unknown_")} | {"unknown_photos": 0}
    scorers = [{**bare, "familiarity_threshold": None, "name": "scratch_plain", "left_out": None}]
    mistaken = {"unknown": [content["worst"][0] | {"p_value": 0.5, "alike": []}], "test": []}
    page = written(tmp_path, monkeypatch, scorers=scorers, left_out_of_best=None, mistaken=mistaken)
    _, row = rows_below(page, "Does it notice what it does not know?")
    assert row == ["scratch_plain", "1,234", "nobody", "4.5 % 2.0 % to 9.0 %", "–", "–", "–"]
    assert "Were a breed not among" not in page
    assert 'class="alike"' not in page
    assert "the training photos most like it" not in page


def test_report_says_that_views_are_averaged_where_they_are(tmp_path, monkeypatch, write_params):
    words = "All probabilities here are means over a photo and its mirror image (evaluate.views)"
    assert words not in written(tmp_path, monkeypatch)
    write_params(tmp_path / "params.yaml", **{"evaluate.views": 2})
    report.write_report(report_content(), load_params(tmp_path / "params.yaml"))
    assert words in " ".join((paths.PLOTS / "report.html").read_text().split())


def test_report_of_many_breeds_folds_what_is_long(tmp_path, monkeypatch):
    content = report_content()
    rows = [row | {"breed": f"breed_{place}"} for place in range(20) for row in content["breeds"][:1]]
    left_out = LEFT_OUT._replace(breeds=[ROW | {"breed": f"breed_{place}"} for place in range(20)])
    page = written(tmp_path, monkeypatch, breeds=rows, left_out_of_best=left_out, many_breeds=True)
    folded = re.findall(r"<details( open)?><summary>(.*?)</summary>", page)
    assert folded == [
        ("", "All 20 breeds, each left out in turn"),
        ("", "Precision, recall and F1 of all 20 breeds"),
        *((" open" if model == BEST else "", model) for model in MODELS),
    ]
    assert "Confusion matrices" not in page


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
                path = paths.VIEWS / views[-1]["view"]
                path.parent.mkdir(parents=True, exist_ok=True)
                draw_photo(100 + 10 * place + copy, (32, 32)).save(path)
        paths.VIEWS.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(views, columns=["view", "photo", "copy"]).to_csv(paths.VIEWS / "views.csv", index=False)

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
        views = [paths.VIEWS / f"{breed}/1.jpg.{copy}.png" for copy in range(copies)]
        np.testing.assert_array_equal(row, [read(path) for path in (sheets.TRAIN / f"{breed}/1.jpg.png", *views)])


def made_up(families) -> dict:
    """What charts are drawn from, for each model: its scores, history, reliability, risk, and recall of five breeds."""
    history = pd.DataFrame({name: np.linspace(0.1, 1, 9) for name in ("step", "accuracy", "loss", "val_accuracy")})
    right, confidence = np.arange(50) % 7 > 0, np.linspace(0.2, 1, 50)
    curve = calibration.reliability(right, confidence)
    curves = {"without temperature": curve, "with temperature": curve}
    scores = {"accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95}
    models = names_of(families)
    return {
        "scores": dict.fromkeys(models, scores),
        "histories": dict.fromkeys(models, history.assign(val_loss=history["loss"])),
        "points": dict.fromkeys(models, curves),
        "curves": dict.fromkeys(models, selective.risk_coverage(right, confidence)),
        "report": pd.DataFrame(
            [(model, breed, 0.5) for model in models for breed in "ABCDE"], columns=["model", "breed", "recall"]
        ),
        "milliseconds": dict.fromkeys(models, 20.0),
    }


def words_of(texts) -> list[str]:
    return [text.get_text().replace("\n", "") for text in texts]


def named_lines(axes) -> list[str]:
    return [line.get_label() for line in axes.get_lines() if not line.get_label().startswith("_")]


@pytest.mark.parametrize("families", [list_families(["VGG16"]), FAMILIES, MANY], ids=["5", "8", "20 models"])
def test_no_chart_loses_a_model(families):
    drawn, models, (*names,) = made_up(families), names_of(families), families
    (axes,) = score_charts.accuracies(drawn["scores"], families, LEVEL, "9 photos").axes
    assert words_of(axes.get_yticklabels()) == models
    assert len(set(axes.get_yticks())) == len(models) == sum(line.get_marker() == "o" for line in axes.get_lines())

    figure = training_charts.learning_curves(drawn["histories"], families)
    panels = [axes for axes in figure.axes if axes.axison]
    assert words_of(axes.title for axes in panels) == [name for name in names for _ in range(2)]
    for place, label in enumerate(("accuracy", "loss (nats)")):
        assert [model for axes in panels[place::2] for model in named_lines(axes)] == models
        assert {axes.get_ylabel() for axes in panels[place::2]} == {label}
    assert words_of(figure.legends[0].get_texts()) == [*charts.ROLES, "val", "train"]

    figure = score_charts.reliability(drawn["points"])
    assert words_of(axes.title for axes in figure.axes if axes.axison) == models

    figure = score_charts.risk_coverage(drawn["curves"], families, "9 photos")
    panels = [axes for axes in figure.axes if axes.axison]
    assert words_of(axes.title for axes in panels) == names
    assert [model for axes in panels for model in named_lines(axes)] == models

    axes, _ = score_charts.recalls(drawn["report"], "9 photos").axes
    assert words_of(axes.get_xticklabels()) == models
    assert len(axes.texts) == 5 * len(models)
    charts.plt.close("all")


@pytest.mark.parametrize("families", [list_families(["VGG16"]), FAMILIES, MANY], ids=["5", "8", "20 models"])
def test_the_chart_of_familiarity_has_a_panel_for_each_that_tells_it_and_its_threshold_if_there_is_one(families):
    scorers = [*list_scorers(families)]
    generator = np.random.default_rng(0)
    rows = pd.DataFrame({"split": ["test"] * 50 + ["unknown"] * 20, "familiarity": generator.random(70)})
    known_alone = rows[rows["split"] == "test"]
    tables = {name: rows if place else known_alone for place, name in enumerate(scorers)}
    thresholds = {name: 0.3 if place else None for place, name in enumerate(scorers)}
    figure = familiarity_charts.familiarity(tables, thresholds, "9 photos")
    panels = [axes for axes in figure.axes if axes.axison]
    assert words_of(axes.title for axes in panels) == scorers
    heights = [[bar.get_height() for bar in axes.patches] for axes in panels]
    assert [round(sum(bars), 6) for bars in heights] == [1, *[2] * (len(scorers) - 1)], "shares of each kind"
    lines = [[float(line.get_xdata()[0]) for line in axes.get_lines()] for axes in panels]
    assert lines == [[], *[[0.3]] * (len(scorers) - 1)]
    told = words_of(figure.legends[0].get_texts())
    assert told == ["9 photos", "photos of anything else", "none of these breeds, left of it"]
    charts.plt.close("all")


def test_the_chart_of_familiarity_is_drawn_though_all_photos_are_equally_familiar():
    same = pd.DataFrame({"split": ["test", "unknown"], "familiarity": [1.0, 1.0]})
    figure = familiarity_charts.familiarity({"A": same}, {"A": 1.0}, "1 photo")
    figure.canvas.draw()
    charts.plt.close("all")


@pytest.mark.parametrize("families", [list_families(["VGG16"]), MANY], ids=["5 models", "20 models"])
def test_the_chart_of_costs_shows_each_model_apart_and_says_which_is_best(families):
    drawn, models = made_up(families), names_of(families)
    best = models[-1]
    figure = training_charts.costs(drawn["scores"], drawn["milliseconds"], families, best, LEVEL, "9 photos")
    figure.canvas.draw()
    (axes,) = figure.axes
    assert named_lines(axes) == models
    marks = {line.get_label(): line for line in axes.get_lines() if line.get_label() in models}
    looks = {(line.get_color(), line.get_marker()) for line in marks.values()}
    assert len(looks) == len(models)
    of_a_family = [marks[model].get_transform().transform((20, 0.9))[0] for model in list(families.values())[-1]]
    assert np.diff(of_a_family).min() > 5, "pixels between marks of the same time"
    told = words_of(axes.get_legend().get_texts())
    assert told == [*families, *charts.ROLES, f"best on val: {best}"]
    charts.plt.close("all")


def test_colours_of_many_families_are_all_different():
    assert [len(set(charts.colours_for(count))) for count in (1, 10, 11, 25)] == [1, 10, 11, 25]


def test_confusion_matrices_of_models_that_are_gone_go_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answers = pd.DataFrame({"actual": ["A", "B"], "predicted": ["A", "A"]})
    for models in (["one", "other"], ["other", "third"]):
        drawings.draw_matrices(dict.fromkeys(models, answers), ["A", "B"], "2 photos")
        assert sorted(path.stem for path in paths.CONFUSION.iterdir()) == models


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
        assert small.size == (192, 96)
    assert embed_photo(photo) == found
    assert len(found) < 40_000


def test_dvcs_page_has_the_places_that_dvc_fills_in(root):
    page = (root / ".dvc/plots/page.html").read_text()
    assert [name for name in ("{refresh_tag}", "{scripts}", "{plot_divs}") if page.count(name) != 1] == []


def test_dvcs_templates_know_no_model_by_name_and_its_page_passes_over_one_of_them(root):
    specs = {path.stem: path.read_text() for path in (root / ".dvc/plots").glob("*.json")}
    assert [name for name, text in specs.items() if re.search("scratch|transfer|finetune|VGG", text)] == []
    assert [name for name, text in specs.items() if "$schema" not in json.loads(text)] == ["none"]
    assert (
        'if (!("$schema" in spec)) document.querySelector(place).remove();'
        in (root / ".dvc/plots/page.html").read_text()
    )
