"""A hundred and twenty breeds, as Stanford Dogs has: everything can still be read, and nothing gets out of hand.

The stages are the real ones but for training: in its place there are networks that tell a breed by its colour.
"""

import contextlib
import io
import json
import re
from itertools import combinations
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from pipeline_fixtures import Repository
from tiny_pipeline import draw_unknown, list_models, vgg16

from benchmarks.photographs import write_drawn
from stages import (
    augment,
    data_size,
    evaluate,
    explain,
    label_errors,
    leave_breeds_out,
    predict,
    predictions,
    prepare,
    prepare_unknown,
    report,
)
from stages.lib.core import paths, registry
from stages.lib.core.arrays import write_rows
from stages.lib.core.classifier import FAMILIARITY, PROBABILITIES, Classifier
from stages.lib.core.encoding import encode
from stages.lib.core.models import list_families, list_scorers
from stages.lib.core.outputs import write_json
from stages.lib.core.splits import SPLITS
from stages.lib.datasets.features import describe_photos
from stages.lib.datasets.pictures import find_pictures, read_picture
from stages.lib.evaluation.caveats import find_caveats
from stages.lib.familiarity.conformal import keep_scores
from stages.lib.familiarity.scores import breed_means, familiarity
from stages.lib.networks.classifiers import pool, with_familiarity
from stages.lib.networks.model_files import save_classifier
from stages.lib.reporting import charts, familiarity_charts, score_charts, sections
from stages.lib.serving.answers import answer
from stages.lib.serving.trained_models import Familiarity

BREEDS = sorted(
    """
    Afghan_hound African_hunting_dog Airedale American_Staffordshire_terrier Appenzeller Australian_terrier
    Bedlington_terrier Bernese_mountain_dog Blenheim_spaniel Border_collie Border_terrier Boston_bull
    Bouvier_des_Flandres Brabancon_griffon Brittany_spaniel Cardigan Chesapeake_Bay_retriever Chihuahua Dandie_Dinmont
    Doberman English_foxhound English_setter English_springer EntleBucher Eskimo_dog French_bulldog German_shepherd
    German_short-haired_pointer Gordon_setter Great_Dane Great_Pyrenees Greater_Swiss_Mountain_dog Ibizan_hound
    Irish_setter Irish_terrier Irish_water_spaniel Irish_wolfhound Italian_greyhound Japanese_spaniel
    Kerry_blue_terrier Labrador_retriever Lakeland_terrier Leonberg Lhasa Maltese_dog Mexican_hairless Newfoundland
    Norfolk_terrier Norwegian_elkhound Norwich_terrier Old_English_sheepdog Pekinese Pembroke Pomeranian
    Rhodesian_ridgeback Rottweiler Saint_Bernard Saluki Samoyed Scotch_terrier Scottish_deerhound Sealyham_terrier
    Shetland_sheepdog Shih-Tzu Siberian_husky Staffordshire_bullterrier Sussex_spaniel Tibetan_mastiff Tibetan_terrier
    Walker_hound Weimaraner Welsh_springer_spaniel West_Highland_white_terrier Yorkshire_terrier affenpinscher basenji
    basset beagle black-and-tan_coonhound bloodhound bluetick borzoi boxer briard bull_mastiff cairn chow clumber
    cocker_spaniel collie curly-coated_retriever dhole dingo flat-coated_retriever giant_schnauzer golden_retriever
    groenendael keeshond kelpie komondor kuvasz malamute malinois miniature_pinscher miniature_poodle
    miniature_schnauzer otterhound papillon pug redbone schipperke silky_terrier soft-coated_wheaten_terrier
    standard_poodle standard_schnauzer toy_poodle toy_terrier vizsla whippet wire-haired_fox_terrier
    """.split()  # noqa: SIM905, a list would be longer than the rest of the file
)
BACKBONES = ["EfficientNetLite2", "VGG16"]
FAMILIES, MODELS = list_families(BACKBONES), list_models(BACKBONES)
PHOTOS = 12  # a breed
LARGEST_CHART = 1800  # pixels a side
LARGEST_PAGE = 4_000_000  # bytes


class Results(NamedTuple):
    """What the stages made of all breeds."""

    repository: Repository
    faults: dict[str, list[str]]  # of each chart, by its file's name
    printed: str  # by label_errors, evaluate, explain and report


def drawn_texts(figure: Figure) -> dict[str, Text]:
    """All words of a figure that can be seen; of an axis' labels those within its limits."""
    beyond = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not axes.axison or not low <= tick.get_loc() <= high:
                    beyond |= {tick.label1, tick.label2}
    found = figure.findobj(Text)
    return [text for text in found if text.get_visible() and text.get_text().strip() and text not in beyond]


def find_faults(figure: Figure) -> list[str]:
    """Words of a figure that are cut off at its edges, or lie over one another, as far as matplotlib can tell."""
    figure.canvas.draw()
    texts = drawn_texts(figure)
    boxes = [text.get_window_extent(figure.canvas.get_renderer()) for text in texts]
    names = [text.get_text() for text in texts]
    width, height = figure.bbox.size
    outside = [
        f"cut off: {name}"
        for name, box in zip(names, boxes, strict=True)
        if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
    ]
    over = []
    # the box of words that are turned says nothing of where they are
    straight = [(text.get_text(), box) for text, box in zip(texts, boxes, strict=True) if text.get_rotation() % 90 == 0]
    for (name, box), (other_name, other) in combinations(straight, 2):
        shared = min(box.x1, other.x1) - max(box.x0, other.x0), min(box.y1, other.y1) - max(box.y0, other.y0)
        if min(shared) > 1:
            over.append(f"over one another: {name} and {other_name}")
    return outside + over


def colour_network(colours: np.ndarray, spread: float) -> keras.Model:
    """Takes a photo for the breed whose colour, a row of ``colours`` (breeds, 3), is nearest to its mean; no training.

    ``spread`` is the standard deviation of photos' colours around their breeds'; more makes it less sure.
    """
    photo = keras.Input((32, 32, 3), name="photo")
    x = keras.layers.Conv2D(3, 1, activation="relu")(photo)
    x = keras.layers.Dense(len(colours), activation="softmax", name="probabilities")(pool(x))
    network = keras.Model(photo, x)
    kernel, bias = colours.T / spread**2, -(colours**2).sum(axis=1) / (2 * spread**2)
    network.set_weights([np.eye(3)[None, None] / 255, np.zeros(3), kernel, bias])
    return network


def write_networks() -> None:
    """Write what the stages between augment and evaluate would have made."""
    means = {}
    for split in ("train", "val"):
        files, breeds = find_pictures(paths.PREPARED / split)
        means[split] = np.stack([read_picture(file).mean(axis=(0, 1)) / 255 for file in files]).astype(np.float32)
        for backbone in BACKBONES:
            folder = paths.FEATURES / backbone / "plain"
            folder.mkdir(parents=True, exist_ok=True)
            with write_rows(folder / f"{split}.npy", means[split].shape, np.float32) as append:
                append(means[split])
            describe_photos(files, split).to_csv(folder / f"{split}.csv", index=False)
        if split == "train":
            colours = pd.DataFrame(means[split]).groupby(np.array(breeds)).mean().loc[BREEDS].to_numpy()
            directions = breed_means(means[split], encode(breeds, BREEDS))
    known = keep_scores(familiarity(directions, means["val"]))
    generator = np.random.default_rng(0)
    for place, model in enumerate(MODELS):
        network = colour_network(colours + generator.normal(0, 0.1 / (1 + place), colours.shape), 0.05)
        classifier = Classifier(with_familiarity(network, directions), BREEDS, "crop", 32, known)
        save_classifier(classifier, paths.MODELS / f"{model}.keras")
        history = pd.DataFrame({"step": [0, 20, 40], "learning_rate": 0.001})
        for measure in ("loss", "accuracy", "val_loss", "val_accuracy"):
            history[measure] = np.linspace(4.8 if "loss" in measure else 0, 0.5, 3)
        paths.HISTORY.mkdir(parents=True, exist_ok=True)
        history.to_csv(paths.HISTORY / f"{model}.csv", index=False)
        write_json(paths.TRAINING_COSTS / f"{model}.json", {"training_seconds": 1.0})
    for backbone in BACKBONES:
        for pictures in ("photos", "views"):
            write_json(paths.FEATURE_COSTS / backbone / f"{pictures}.json", {"seconds": 1.0})
    photos = [180, 360, 600, 1080]
    right = generator.random((3, 4, len(breeds))) < np.array([[0.3], [0.4], [0.5], [0.6]])
    paths.DATA_SIZE.mkdir()
    np.save(paths.DATA_SIZE / "right.npy", right)
    losses = pd.DataFrame({"breed": breeds * 2, "log_loss": generator.exponential(size=2 * len(breeds))})
    losses.to_csv(paths.DATA_SIZE / "losses.csv", index=False)
    data_size.tabulate(right, photos, breeds).to_csv(paths.PLOTS / "data_size.csv", index=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory, write_params, run_stage):
    root = tmp_path_factory.mktemp("many_breeds")
    repository = Repository(root)
    write_drawn(BREEDS, root / "photos", PHOTOS)
    draw_unknown(root / "unknown")
    write_params(
        root / "params.yaml",
        backbones={backbone: vgg16(image_size=32) for backbone in BACKBONES},
        main_backbone=BACKBONES[0],
        **{"data.source": "photos", "data.unknown": "unknown", "data.image_size": 32, "augment.copies": 1},
    )
    faults = {}
    save = charts.save

    def check_and_save(figure: Figure, path) -> None:
        faults[path.relative_to(paths.PLOTS).as_posix().replace(".partial", "")] = find_faults(figure)
        save(figure, path)

    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "save", check_and_save)
        # in this process, where the line above holds and faults are kept
        patch.setattr(report, "in_processes", lambda tasks, **_: [task() for task in tasks])
        for stage in (prepare, prepare_unknown, augment):
            assert run_stage(stage.main, root) == 0
        with contextlib.chdir(root):
            write_networks()
        assert [run_stage(predictions.main, root, family) for family in FAMILIES] == [0] * len(FAMILIES)
        assert [run_stage(leave_breeds_out.main, root, backbone) for backbone in BACKBONES] == [0] * len(BACKBONES)
        with contextlib.redirect_stdout(printed):
            assert [run_stage(stage.main, root) for stage in (label_errors, evaluate, explain, report)] == [0] * 4
    return Results(repository, faults, printed.getvalue())


@pytest.fixture(scope="module")
def plots(results):
    return results.repository.root / "plots"


@pytest.fixture(scope="module")
def page(plots):
    return (plots / "report.html").read_text()


@pytest.mark.slow
def test_every_breed_has_come_through_and_the_networks_tell_some_of_them(results, plots):
    scores = results.repository.json("metrics/evaluate.json")
    assert all(0.05 < scores[model]["accuracy"] < 0.95 for model in MODELS)
    report = pd.read_csv(plots / "classification_report.csv")
    assert report.groupby("model")["breed"].apply(sorted).to_dict() == dict.fromkeys(MODELS, BREEDS)
    assert report["support"].min() > 0
    assert sum(results.repository.json("metrics/prepare.json")[split] for split in ("train", "val", "test")) == 1440


@pytest.mark.slow
def test_no_word_of_a_chart_is_cut_off_or_lies_over_another(results):
    expected = {f"{name}.png" for name in sections.CHARTS} | {f"confusion/{model}.png" for model in MODELS}
    assert set(results.faults) == expected | {"class_balance.png", "contact_sheet.jpg", "augmentation.jpg"}
    assert {name: faults for name, faults in results.faults.items() if faults} == {}


@pytest.mark.slow
def test_pictures_stay_small_enough_to_look_at(plots):
    sizes = {}
    for path in (*plots.rglob("*.png"), *plots.rglob("*.jpg")):
        with Image.open(path) as image:
            sizes[path.name] = image.size
    assert len(sizes) == len(sections.CHARTS) + len(MODELS) + 3
    assert {name: size for name, size in sizes.items() if max(size) > LARGEST_CHART} == {}


def test_a_word_that_is_cut_off_or_lies_over_another_is_found():
    figure = charts.plt.figure(figsize=(2, 1))
    figure.text(0.8, 0.5, "beyond the edge")
    figure.text(0.1, 0.5, "one")
    figure.text(0.12, 0.5, "other")
    assert find_faults(figure) == ["cut off: beyond the edge", "over one another: one and other"]
    charts.plt.close(figure)


@pytest.mark.parametrize("backbones", [BACKBONES[:1], list(registry.NETWORKS)[:6]], ids=len)
def test_charts_of_many_breeds_are_drawn_without_a_fault(backbones):
    """As far as charts of made-up numbers show; those of the stages are looked at, too."""
    generator = np.random.default_rng(0)
    photos = pd.DataFrame(
        [(breed, split, 9) for breed in BREEDS for split in SPLITS], columns=["breed", "split", "photos"]
    )
    models = list_models(backbones)
    report = pd.DataFrame([(model, breed, generator.random()) for model in models for breed in BREEDS])
    sizes = data_size.tabulate(generator.random((3, 4, 240)) < 0.5, [180, 360, 600, 1080], BREEDS * 2)
    asked = pd.DataFrame({"split": ["test", "unknown"] * 120, "familiarity": generator.random(240)})
    familiar = dict.fromkeys(list_scorers(list_families(backbones)), asked)
    figures = {
        "class_balance": charts.class_balance(photos.set_axis(["breed", "split", "photos"], axis=1)),
        "recall": score_charts.recalls(report.set_axis(["model", "breed", "recall"], axis=1), "240 test photos"),
        "data_size": score_charts.data_size(sizes, 240),
        "confusion": score_charts.confusion(np.arange(240) // 2, generator.integers(0, 120, 240), BREEDS, "240 photos"),
        "familiarity": familiarity_charts.familiarity(familiar, dict.fromkeys(familiar, 0.1), "240 test photos"),
    }
    faults = {name: find_faults(figure) for name, figure in figures.items()}
    assert {name: found for name, found in faults.items() if found} == {}
    assert all(max(figure.get_size_inches()) * charts.DPI <= LARGEST_CHART for figure in figures.values())
    charts.plt.close("all")


def test_charts_say_which_of_the_breeds_they_show():
    photos = pd.DataFrame({"breed": BREEDS, "split": "train", "photos": range(120)})
    splits = (
        photos["breed"].to_frame().assign(split="val", photos=1),
        photos["breed"].to_frame().assign(split="test", photos=1),
    )
    (axes,) = charts.class_balance(pd.concat([photos, *splits])).axes
    assert axes.get_title() == "Pictures of the 30 of 120 breeds that have the fewest"
    assert [label.get_text() for label in axes.get_yticklabels()] == BREEDS[:30][::-1]
    charts.plt.close("all")


@pytest.mark.parametrize("seed", range(5))
def test_the_largest_cells_beside_the_diagonal_are_drawn_in_place_of_the_matrix(seed):
    generator = np.random.default_rng(seed)
    actual = np.arange(480) // 4
    predicted = np.clip(actual + generator.integers(-1, 3, 480), 0, 119)  # some are right, others mistaken together
    predictions = pd.DataFrame({"actual": np.array(BREEDS)[actual], "predicted": np.array(BREEDS)[predicted]})
    (axes,) = score_charts.confusion(actual, predicted, BREEDS, "title").axes
    wrong = predictions[predictions["actual"] != predictions["predicted"]]
    cells = wrong.groupby(["actual", "predicted"]).size().sort_values(ascending=False)
    of_breed = predictions["actual"].value_counts()
    bars = [bar.get_width() for bar in axes.patches]
    assert bars == cells.head(score_charts.CONFUSED_PAIRS).tolist()
    names = [label.get_text().split(", taken for ") for label in axes.get_yticklabels()]
    labels = [text.get_text() for text in axes.texts]
    assert labels == [f"{cells[one, other]} of {of_breed[one]}" for one, other in names]
    assert axes.figure.get_suptitle().splitlines() == [
        "title",
        f"the 25 most confused of {len(cells)} pairs, with {int(sum(bars))} of {len(wrong)} errors",
    ]
    charts.plt.close("all")


def test_pairs_are_drawn_too_where_there_are_few_or_none():
    breeds = BREEDS[: score_charts.MATRIX_BREEDS + 1]
    right = np.arange(len(breeds))
    (axes,) = score_charts.confusion(right, right, breeds, "title").axes
    assert axes.figure.get_suptitle() == "title\nall 0 errors"
    assert find_faults(axes.figure) == []
    (axes,) = score_charts.confusion(right, np.array([1, *right[1:]]), breeds, "title").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [f"{breeds[0]}, taken for {breeds[1]}"]
    assert axes.figure.get_suptitle() == "title\nall 1 errors"
    charts.plt.close("all")


def test_a_matrix_of_as_many_breeds_as_fit_has_room_for_their_names():
    breeds = sorted(BREEDS, key=len)[-score_charts.MATRIX_BREEDS :]
    places = np.repeat(np.arange(len(breeds)), 250)
    figure = score_charts.confusion(places, np.sort(places)[::-1], breeds, "title")
    assert find_faults(figure) == []
    matrix, bar = (axes.get_window_extent() for axes in figure.axes)
    assert abs(matrix.width - matrix.height) < 1
    assert bar.height < 1.2 * matrix.height
    pairs = score_charts.confusion(places, np.sort(places)[::-1], [*breeds, "one_more"], "title")
    assert find_faults(pairs) == []
    (axes,) = pairs.axes
    assert max(text.get_window_extent().x1 for text in axes.texts) < axes.get_window_extent().x1
    charts.plt.close("all")


@pytest.mark.slow
def test_confusion_csv_has_every_photo_and_every_breed_of_every_model(plots):
    table = pd.read_csv(plots / "confusion.csv")
    assert list(table.columns) == ["model", "actual", "predicted", "photos"]
    for model, cells in table.groupby("model"):
        predictions = pd.read_csv(plots / f"predictions/{model}.csv")
        counts = predictions.groupby(["actual", "predicted"]).size()
        found = cells.set_index(["actual", "predicted"])["photos"]
        assert found[found > 0].to_dict() == counts.to_dict()
        assert {breed for one, breed in found.index if one == breed} == set(BREEDS)
        assert (found[found == 0].index.get_level_values(0) == found[found == 0].index.get_level_values(1)).all()


@pytest.mark.slow
def test_predictions_have_a_column_for_each_breed(plots):
    for model in MODELS:
        predictions = pd.read_csv(plots / f"predictions/{model}.csv")
        assert list(predictions.columns) == ["photo", "actual", "predicted", "confidence", *BREEDS]


@pytest.mark.slow
def test_report_folds_what_is_long_and_shows_the_best_models_pairs(results, page):
    best = results.repository.json("metrics/evaluate.json")["best"]
    folded = re.findall(r"<details( open)?><summary>(.*?)</summary>", page)
    assert folded == [
        ("", "All 120 breeds, each left out in turn"),
        ("", "Precision, recall and F1 of all 120 breeds"),
        *((" open" if model == best else "", model) for model in MODELS),
        ("", "The 10 breeds to begin with"),
    ]
    assert page.count("<details") == page.count("</details>")
    table = page[page.index("<details") : page.index("</details>")]
    assert table.count("<tr>") == 1 + len(BREEDS)
    assert "Confusion matrices" not in page
    outside = re.sub(r"(?s)<details>.*?</details>", "", page)
    text = re.sub(r"(?s)<style>.*?</style>|<[^>]*>", "", outside)
    assert len(text) < 20_000


@pytest.mark.slow
def test_a_breeds_long_name_is_cut_between_its_words(page):
    captions = "".join(re.findall(r"(?s)<figcaption>.*?</figcaption>", page))
    assert re.search(r"[a-z]_<wbr>[a-z]", captions)
    told = re.findall(r"(?:labelled|taken for|looks like) ([^,< ]+(?:<wbr>[^,< ]+)*)", captions)
    assert {name.replace("<wbr>", "") for name in told} <= set(BREEDS)


@pytest.mark.slow
def test_report_stays_small(plots):
    assert (plots / "report.html").stat().st_size < LARGEST_PAGE


@pytest.mark.slow
def test_a_warning_names_ten_breeds_and_how_many_more(results):
    (caveat,) = (caveat for caveat in results.repository.json("metrics/evaluate.json")["caveats"] if "Fewer" in caveat)
    named = re.findall(r"[\w-]+ \(\d+\)", caveat)
    assert len(named) == 10
    assert caveat.endswith(f"{named[-1]} and 110 more.")
    assert len(caveat) < 450
    assert max(map(len, results.printed.splitlines())) < 800  # the answer with its caveats, in one line


def test_a_warning_names_the_ten_breeds_that_have_the_fewest_photos_and_how_many_more():
    (caveat,) = find_caveats(["a.jpg"], {f"b{place}": 10 - place for place in range(11)}, "photos", {})
    assert caveat.endswith(
        ": b10 (0), b9 (1), b8 (2), b7 (3), b6 (4), b5 (5), b4 (6), b3 (7), b2 (8), b1 (9) and 1 more."
    )


def test_predict_prints_the_best_five_of_many_breeds_and_json_has_them_all(capsys, tmp_path):
    def tell(probabilities: np.ndarray, breeds: list[str]) -> dict:
        outputs = {FAMILIARITY: np.array([0.5]), PROBABILITIES: probabilities[None]}
        (told,) = answer([tmp_path / "dog.jpg"], outputs, breeds, Familiarity([0.1], None), None)
        return told

    probabilities = np.random.default_rng(1).dirichlet(np.full(len(BREEDS), 0.1))
    told = tell(probabilities, BREEDS)
    assert len(json.loads(json.dumps(told))["breeds"]) == len(BREEDS)
    predict.print_answers([told], None)
    _, *lines = capsys.readouterr().out.splitlines()
    best = np.argsort(-probabilities)[:5]
    assert [line.split()[:2] for line in lines[:5]] == [[BREEDS[i], f"{probabilities[i]:.1%}"] for i in best]
    assert lines[5:] == [f"  and 115 more with {1 - probabilities[best].sum():.1%} together"]
    told = tell(probabilities[:10], BREEDS[:10])
    predict.print_answers([told], None)
    assert len(capsys.readouterr().out.splitlines()) == 1 + 10


@pytest.mark.slow
def test_dvc_metrics_shows_the_scores_in_120_columns(results):
    table = results.repository.dvc("metrics", "show").stdout.splitlines()
    assert len(table) == 1 + 2 * len(MODELS)
    assert max(map(len, table)) <= 120


@pytest.mark.slow
def test_dvcs_page_stays_small_for_all_that_there_are_120_breeds(results, tmp_path):
    results.repository.dvc("plots", "show", "-o", str(tmp_path))
    page = (tmp_path / "index.html").read_text()
    assert [
        name for name in ("confusion.csv", "classification_report.csv", "class_balance.csv") if name not in page
    ] == []
    assert len(page) < LARGEST_PAGE
    assert "<DVC_METRIC" not in page
    assert [model for model in MODELS if model not in page] == []
