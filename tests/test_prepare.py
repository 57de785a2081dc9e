import ctypes
import hashlib
import json
import os
import subprocess
import sys
import unicodedata
import zipfile
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance, ImageOps

from stages import prepare
from stages.lib.core.splits import SPLITS

SIDE = 32
SIZE = (96, 72)
PHOTOS_A_BREED = 20
# a breed, and the names that photos of it have beside the plain ones
NAMES = {
    "Cairn": ["walk.jpg", "walk.png", "summer 2024/beach/walk.jpg", "12.jpg.png"],
    "Löwchen und Ähnliche": ['the "best" one.jpg', "sit, stay.jpg", "two\nlines.jpg", "犬.jpg"],
}
FAMILY = ["family.jpg", "family_light.png", "family_mirrored.jpg", "family_small.jpg", "family_cropped.jpg"]


def encode(image, path, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, "PNG" if path.suffix == ".png" else "JPEG", **options)


def make_source(folder, draw_photo):
    """Photos of two breeds with duplicates, faults and clutter among them; the numbers of photos that are good."""
    for number, (breed, names) in enumerate(NAMES.items()):
        plain = [f"{place:02}.jpg" for place in range(PHOTOS_A_BREED - len(names))]
        for place, name in enumerate([*plain, *names]):
            encode(draw_photo(100 * number + place, SIZE), folder / breed / name, quality=90)

    cairn = folder / "Cairn"
    photo = draw_photo(50, SIZE)
    for name, copy in zip(
        FAMILY,
        [
            photo,
            ImageEnhance.Brightness(photo).enhance(1.1),
            ImageOps.mirror(photo),
            photo.resize((64, 48)),
            photo.crop((1, 1, 95, 71)),
        ],
        strict=True,
    ):
        encode(copy, cairn / name)
    (cairn / "summer 2024" / "twin.jpg").write_bytes((cairn / "00.jpg").read_bytes())

    lowchen = folder / "Löwchen und Ähnliche"
    encode(draw_photo(60, SIZE), cairn / "whose.jpg")
    (lowchen / "mine.jpg").write_bytes((cairn / "whose.jpg").read_bytes())
    (lowchen / "empty.jpg").touch()
    (lowchen / "notes.txt").write_text("which dog was it?\n")
    encode(draw_photo(62, SIZE), lowchen / "cut.png")
    os.truncate(lowchen / "cut.png", (lowchen / "cut.png").stat().st_size // 2)
    (lowchen / "lost.jpg").symlink_to("nowhere.jpg")
    with zipfile.ZipFile(lowchen / "archive.jpg", "w") as archive:
        archive.writestr("photo.jpg", b"photo" * 99)
    encode(draw_photo(61, (400, 300)), lowchen / "large.jpg")

    (folder / "README.md").write_text("# Dogs\n")
    for clutter in (".DS_Store", "Thumbs.db", "desktop.ini", "Icon\r", ".hidden/photo.jpg", "__MACOSX/Cairn/._00.jpg"):
        for place in (folder, cairn):
            (place / clutter).parent.mkdir(parents=True, exist_ok=True)
            (place / clutter).write_bytes((cairn / "00.jpg").read_bytes())


REFUSED = {
    "Cairn/whose.jpg": ("same photo in two breeds", "Cairn/whose.jpg, Löwchen und Ähnliche/mine.jpg"),
    "Löwchen und Ähnliche/archive.jpg": ("not a picture", ""),
    "Löwchen und Ähnliche/cut.png": ("cut short", "image file is truncated"),
    "Löwchen und Ähnliche/empty.jpg": ("empty", ""),
    "Löwchen und Ähnliche/large.jpg": ("too many pixels", "400x300"),
    "Löwchen und Ähnliche/lost.jpg": ("unreadable", "No such file or directory"),
    "Löwchen und Ähnliche/mine.jpg": ("same photo in two breeds", "Cairn/whose.jpg, Löwchen und Ähnliche/mine.jpg"),
    "Löwchen und Ähnliche/notes.txt": ("not a picture", ""),
}
CHANGES = {
    "seed": 1,
    "split": {"test": 0.25, "val": 0.15},
    "data.source": "dogs",
    "data.image_size": SIDE,
    "data.resize": "crop",
    "data.max_pixels": 10_000,
    "data.max_refused": 1,
    "data.duplicate_distance": 8,
}


def artefacts(folder, contents):
    """All that stands in a folder but for the photos and the parameters."""
    return {
        name: content for name, content in contents(folder).items() if not name.startswith(("dogs/", "params.yaml"))
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, draw_photo, write_params):
    """A folder in which the stage ran, as a process of its own; what it printed."""
    folder = tmp_path_factory.mktemp("prepared")
    make_source(folder / "dogs", draw_photo)
    write_params(folder / "params.yaml", **CHANGES)
    done = run_alone(folder)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    return folder, done.stdout


def run_alone(folder, **options):
    environment = os.environ | {"PYTHONPATH": str(Path(prepare.__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "stages.prepare"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
        **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def manifest(prepared):
    return read_table(prepared[0] / "data" / "prepared" / "manifest.csv")


def read_table(path):
    return pd.read_csv(path, keep_default_na=False)


def good_files():
    """The files that are to be used, in the order of their breeds and names."""
    files = []
    for breed, names in NAMES.items():
        plain = [f"{place:02}.jpg" for place in range(PHOTOS_A_BREED - len(names))]
        files += [f"{breed}/{name}" for name in [*plain, *names]]
    files += [f"Cairn/{name}" for name in [*FAMILY, "summer 2024/twin.jpg"]]
    return sorted(files)


def test_the_manifest_has_a_row_for_every_photo_that_is_used(prepared, manifest):
    source = prepared[0] / "dogs"
    rows = []
    for file in good_files():
        with Image.open(source / file) as image:
            width, height = image.size
        digest = hashlib.sha256((source / file).read_bytes()).hexdigest()
        rows.append((file, file.split("/")[0], digest, width, height))
    columns = ["file", "breed", "sha256", "width", "height"]
    pd.testing.assert_frame_equal(manifest[columns], pd.DataFrame(rows, columns=columns))
    assert list(manifest.columns) == [
        "file", "breed", "split", "group", "sha256", "width", "height", "source_file", "folder_breed", "label_fix",
    ]  # fmt: skip
    assert manifest["source_file"].equals(manifest["file"])
    assert manifest["folder_breed"].equals(manifest["breed"])
    assert (manifest["label_fix"] == "").all()


def test_pictures_stand_where_the_manifest_says_and_nothing_else_does(prepared, manifest, contents):
    made = set(contents(prepared[0] / "data"))
    expected = {f"prepared/{row.split}/{row.file}.png" for row in manifest.itertuples()}
    assert made == expected | {f"prepared/{table}.csv" for table in ("groups", "manifest", "refused")}
    for name in expected:
        with Image.open(prepared[0] / "data" / name) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (SIDE, SIDE))
    assert {folder.name for folder in (prepared[0] / "data" / "prepared" / "train").iterdir()} == set(NAMES)


def test_a_prepared_picture_shows_its_photo(prepared, manifest):
    for row in manifest.itertuples():
        with Image.open(prepared[0] / "dogs" / row.file) as photo:
            expected = ImageOps.fit(photo.convert("RGB"), (SIDE, SIDE), Image.Resampling.LANCZOS)
        with Image.open(prepared[0] / "data" / "prepared" / row.split / f"{row.file}.png") as picture:
            assert picture.tobytes() == expected.tobytes()


def test_duplicates_and_they_alone_are_a_group_and_in_one_split(manifest):
    members = manifest.groupby("group")["file"].agg(set).tolist()
    assert sorted(map(sorted, (files for files in members if len(files) > 1))) == [
        ["Cairn/00.jpg", "Cairn/summer 2024/twin.jpg"],
        sorted(f"Cairn/{name}" for name in FAMILY),
    ]
    assert (manifest.groupby("group")["split"].nunique() == 1).all()
    assert (manifest.groupby("sha256")["split"].nunique() == 1).all()


@pytest.mark.parametrize("seed", range(5))
def test_duplicates_stay_together_whatever_the_seed(manifest, seed):
    photos = manifest[["file", "breed", "sha256", "width", "height", "label_fix"]].assign(label=manifest["breed"])
    of_file = {file: row for row, file in enumerate(photos["file"])}
    alike = [["Cairn/00.jpg", "Cairn/summer 2024/twin.jpg"], [f"Cairn/{name}" for name in FAMILY]]
    pairs = np.array([(of_file[one], of_file[two]) for files in alike for one, two in combinations(files, 2)])
    again = prepare.make_manifest(photos, pairs, test=0.25, val=0.15, seed=seed).set_index("file")["split"]
    assert [len(set(again[files])) for files in alike] == [1, 1]


def test_what_is_refused_is_listed_with_its_reason_and_counted(prepared):
    refused = read_table(prepared[0] / "data" / "prepared" / "refused.csv")
    expected = [(file, file.split("/")[0], *REFUSED[file]) for file in sorted(REFUSED)]
    pd.testing.assert_frame_equal(refused, pd.DataFrame(expected, columns=["file", "breed", "reason", "detail"]))
    printed = prepared[1].splitlines()
    assert printed[0].endswith(f"{len(REFUSED)} refused")
    assert printed[1:] == [f"refused: {file}: {REFUSED[file][0]}" for file in sorted(REFUSED)]


def test_the_metrics_are_the_counts(prepared, manifest):
    counts = manifest["split"].value_counts()
    expected = {
        "photos": len(good_files()),
        "breeds": 2,
        **{split: counts[split] for split in SPLITS},
        "exact_duplicate_pairs": 1,
        "near_duplicate_pairs": 10,
        "refused": {
            "total": 8, "cut short": 1, "empty": 1, "not a picture": 2, "same photo in two breeds": 2,
            "too many pixels": 1, "unreadable": 1,
        },
        "label_fixes": {what: dict.fromkeys(SPLITS, 0) for what in ("kept", "moved", "dropped")} | {"idle": 0},
    }  # fmt: skip
    metrics = json.loads((prepared[0] / "metrics" / "prepare.json").read_text(encoding="utf-8"))
    assert metrics == expected
    assert list(metrics) == list(expected)
    assert counts.sum() == len(good_files())


def test_the_class_balance_counts_the_manifest_and_is_all_that_is_made_of_plots(prepared, manifest):
    plots = prepared[0] / "plots"
    assert [path.name for path in plots.iterdir()] == ["class_balance.csv"]
    balance = read_table(plots / "class_balance.csv")
    expected = manifest.groupby(["breed", "split"]).size().rename("photos").reset_index()
    pd.testing.assert_frame_equal(balance, expected)


def test_a_run_over_files_made_in_another_order_makes_the_same_bytes(
    prepared, tmp_path, contents, run_stage, write_params
):
    source = prepared[0] / "dogs"
    for path in sorted(source.rglob("*"), reverse=True):
        copy = tmp_path / "dogs" / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            copy.symlink_to(path.readlink())
        elif path.is_file():
            copy.write_bytes(path.read_bytes())
    write_params(tmp_path / "params.yaml", **CHANGES)
    for _ in range(2):  # the second replaces what the first made
        assert run_stage(prepare.main, tmp_path) == 0
        assert artefacts(tmp_path, contents) == artefacts(prepared[0], contents)


def make_breeds(folder, draw_photo, **counts):
    for number, (breed, count) in enumerate(counts.items()):
        (folder / breed).mkdir(parents=True)
        for place in range(count):
            encode(draw_photo(1000 * number + place, (32, 32)), folder / breed / f"{place}.png")


def not_there(*_):
    return (
        "data.source must be a folder with one sub-folder a breed. Received: dogs, which does not exist; `dvc repro` "
        "makes those of data/dvc.yaml."
    )


def a_file(dogs, _):
    dogs.write_text("dogs")
    return "data.source must be a folder with one sub-folder a breed. Received: dogs, not a folder."


def empty(dogs, _):
    dogs.mkdir()
    return "data.source must hold one sub-folder a breed, two or more of them. Received: dogs with no sub-folder."


def photos_without_sub_folders(dogs, draw_photo):
    encode(draw_photo(1), dogs / "a.jpg")
    return "data.source must hold one sub-folder a breed, two or more of them. Received: dogs with no sub-folder."


def one_breed(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=20)
    (dogs / "README.md").touch()
    (dogs / "__MACOSX").mkdir()
    return "data.source must hold one sub-folder a breed, two or more of them. Received: dogs with Cairn."


def a_split(dogs, draw_photo):
    make_breeds(dogs, draw_photo, train=2, Val=2, test=2)
    return (
        "data.source must hold one sub-folder a breed. Received: dogs with Val, test, train, which is a split already: "
        "bring each breed's photos together in one folder, prepare splits them."
    )


def a_reserved_name(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=2, actual=2)
    return (
        "No breed may be called actual, confidence, photo, predicted, as columns of plots/predictions/*.csv are. "
        "Received: actual: rename the folder."
    )


ALIKE = (
    "Breeds' names must differ in more than case or in how Unicode spells an accent: on a Mac and on Windows they are "
    "one folder. Received: {}: bring them together or rename them."
)
LINKED = (
    "A breed must be a folder, not a link to one: DVC does not follow it, so no change of its photos would be noticed. "
    "Received: {}: put the folder itself there, or make data.source the place where the folders are."
)
REMEDY = (
    "\nEvery breed needs a photo in each split (near duplicates stay on one side): add photos, 30 a breed or more, or "
    "take the breed's folder away."
)


def names_that_differ_in_case(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=2, Dingo=2, cairn=2)
    return ALIKE.format("'Cairn', 'cairn'")


def names_that_differ_in_their_unicode(dogs, draw_photo):
    make_breeds(dogs, draw_photo, **{"Cairn": 2, "L\u00f6wchen": 2, "Lo\u0308wchen": 2})
    return ALIKE.format(r"'Lo\u0308wchen', 'L\xf6wchen'")


def a_linked_breed(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=2, Dingo=2)
    (dogs / "Samoyed").symlink_to("Cairn")
    return LINKED.format("dogs/Samoyed")


def breeds_that_lead_nowhere_and_in_a_circle(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=2, Dingo=2)
    (dogs / "Samoyed").symlink_to("/media/stick/Samoyed")
    (dogs / "Akita").symlink_to("Akita")
    return LINKED.format("dogs/Akita, dogs/Samoyed")


def a_breed_without_a_file(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=20, Dingo=0)
    return "Dingo has too few photos: 0 can be used, which gives 0 to train, 0 to val, 0 to test" + REMEDY


def no_photo_at_all(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=0, Dingo=0)
    none = "has too few photos: 0 can be used, which gives 0 to train, 0 to val, 0 to test"
    return f"Cairn {none}\nDingo {none}" + REMEDY


def too_few_photos(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=20, Dingo=2)
    return "Dingo has too few photos: 2 can be used, which gives 0 to train, 1 to val, 1 to test" + REMEDY


def too_few_after_refusals(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=20, Dingo=10)
    for place in range(8):
        (dogs / "Dingo" / f"{place}.png").write_bytes(b"" if place < 3 else b"no photo")
    counts = "2 can be used, which gives 0 to train, 1 to val, 1 to test; 3 refused: empty; 5 refused: not a picture"
    return f"Dingo has too few photos: {counts}" + REMEDY


def too_few_after_duplicates(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=20, Dingo=0)
    for place in range(20):
        encode(draw_photo(5, (40 + place, 40)), dogs / "Dingo" / f"{place}.png")
    return "Dingo has too few photos: 20 can be used, which gives 20 to train, 0 to val, 0 to test" + REMEDY


def a_name_that_is_too_long(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=2, Dingo=2)
    name = "x" * 237 + ".jpg"
    (dogs / "Dingo" / name).touch()
    return (
        "names of photos must be UTF-8, of 240 bytes at most and without carriage return. "
        f"Received: 'Dingo/{name}' (1): rename them."
    )


def names_of_another_encoding(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=2, Dingo=2)
    for number in range(7):
        (dogs / "Dingo" / os.fsdecode(f"{number}ü.jpg".encode("latin-1"))).touch()
    names = ", ".join(rf"'Dingo/{number}\udcfc.jpg'" for number in range(5))
    return (
        "names of photos must be UTF-8, of 240 bytes at most and without carriage return. "
        f"Received: {names}, … (7): rename them."
    )


def a_wrong_parameter(dogs, draw_photo):
    make_breeds(dogs, draw_photo, Cairn=2, Dingo=2)
    params = dogs.parent / "params.yaml"
    params.write_text(params.read_text().replace("resize: crop", "resize: stretch"))
    return "params.yaml: data.resize should be 'crop', 'pad' or 'squash'. Received: 'stretch'"


FAULTS = [
    not_there, a_file, empty, photos_without_sub_folders, one_breed, a_split, a_reserved_name,
    names_that_differ_in_case, names_that_differ_in_their_unicode, a_linked_breed,
    breeds_that_lead_nowhere_and_in_a_circle,
    a_breed_without_a_file, no_photo_at_all, too_few_photos, too_few_after_refusals, too_few_after_duplicates,
    a_name_that_is_too_long, names_of_another_encoding, a_wrong_parameter,
]  # fmt: skip


@pytest.mark.parametrize("earlier", [False, True], ids=["first_run", "later_run"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_message_and_leaves_everything_as_it_was(
    tmp_path, draw_photo, write_params, run_stage, contents, capsys, fault, earlier
):
    write_params(tmp_path / "params.yaml", **CHANGES)
    message = fault(tmp_path / "dogs", draw_photo)
    if earlier:
        for name in ("data/prepared/manifest.csv", "metrics/prepare.json", "plots/class_balance.csv"):
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_text("earlier")
    before = contents(tmp_path)
    assert run_stage(prepare.main, tmp_path) == 1
    progress, _, said = capsys.readouterr().err.partition("error: ")
    assert said == message + "\n"
    assert "rror" not in progress
    assert contents(tmp_path) == before
    assert earlier or not (tmp_path / "data" / "prepared").exists()


def test_a_fault_in_a_process_of_its_own_has_no_traceback(tmp_path, write_params):
    write_params(tmp_path / "params.yaml", **CHANGES)
    done = run_alone(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"error: {not_there()}\n")


def test_a_fault_of_ours_keeps_what_was_there_too(tmp_path, draw_photo, write_params, monkeypatch, contents):
    write_params(tmp_path / "params.yaml", **CHANGES)
    make_breeds(tmp_path / "dogs", draw_photo, Cairn=10, Dingo=10)
    (tmp_path / "data" / "prepared").mkdir(parents=True)
    (tmp_path / "data" / "prepared" / "manifest.csv").write_text("earlier")
    before = contents(tmp_path)
    monkeypatch.setattr(prepare, "move_to_splits", lambda *_: 1 / 0)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZeroDivisionError):
        prepare.main()
    assert contents(tmp_path) == before


def test_near_duplicates_in_two_breeds_are_kept_together_and_pointed_out(
    tmp_path, draw_photo, write_params, run_stage, capsys
):
    write_params(tmp_path / "params.yaml", **CHANGES)
    make_breeds(tmp_path / "dogs", draw_photo, Cairn=20, Dingo=20)
    encode(draw_photo(3, (32, 32)).resize((48, 48)), tmp_path / "dogs" / "Dingo" / "again.png")
    assert run_stage(prepare.main, tmp_path) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].endswith("; 0 refused")
    assert printed[1:] == ["alike in two breeds, look whether both labels are right: Cairn/3.png and Dingo/again.png"]
    manifest = read_table(tmp_path / "data" / "prepared" / "manifest.csv").set_index("file")
    alike = manifest.loc[["Cairn/3.png", "Dingo/again.png"]]
    assert alike["group"].nunique() == alike["split"].nunique() == 1
    assert len(manifest) == 41


@pytest.mark.parametrize("breeds", [("Costs $5", "$x^^2$"), ("NA", "null"), ("1", "2"), ("_x", "a&b <i>")])
def test_a_breed_may_have_any_name(tmp_path, draw_photo, write_params, run_stage, breeds):
    write_params(tmp_path / "params.yaml", **CHANGES)
    make_breeds(tmp_path / "dogs", draw_photo, **dict.fromkeys(breeds, 10))
    assert run_stage(prepare.main, tmp_path) == 0
    manifest = pd.read_csv(tmp_path / "data" / "prepared" / "manifest.csv", dtype=str, keep_default_na=False)
    assert manifest["breed"].tolist() == sorted(breeds * 10)


def photos_of_one_breed_refused(dogs, draw_photo, kinds):
    """Two breeds of 20; the first files of Dingo are of the ``kinds``."""
    make_breeds(dogs, draw_photo, Cairn=20, Dingo=20)
    for place, content in enumerate(kinds):
        (dogs / "Dingo" / f"{place}.png").write_bytes(content)


@pytest.mark.parametrize("max_refused", [0, 0.2])
def test_more_refused_than_allowed_stops_the_stage_and_leaves_the_list_beside(
    tmp_path, draw_photo, write_params, run_stage, contents, capsys, max_refused
):
    write_params(tmp_path / "params.yaml", **CHANGES | {"data.max_refused": max_refused})
    photos_of_one_breed_refused(tmp_path / "dogs", draw_photo, [b"", b"", b"no photo", b"nor this", b""])
    before = contents(tmp_path)
    assert run_stage(prepare.main, tmp_path) == 1
    assert capsys.readouterr().err.partition("error: ")[2] == (
        "Dingo: 5 of 20 files refused (3 empty, 2 not a picture)\n"
        f"data.max_refused allows {max_refused:g} of a breed's files to be refused. data/prepared.partial/refused.csv "
        "tells which and why: mend them, take them out of the folder, or raise data.max_refused.\n"
    )
    after = contents(tmp_path)
    listed = pd.read_csv(tmp_path / "data/prepared.partial/refused.csv", keep_default_na=False)
    assert after.keys() - before.keys() == {"data/prepared.partial/refused.csv"}
    assert listed[["file", "reason"]].to_numpy().tolist() == [
        [f"Dingo/{place}.png", "empty" if place in (0, 1, 4) else "not a picture"] for place in range(5)
    ]


def test_as_many_refused_as_allowed_do_not_stop_it_and_an_earlier_list_is_gone(
    tmp_path, draw_photo, write_params, run_stage
):
    photos_of_one_breed_refused(tmp_path / "dogs", draw_photo, [b""] * 4)
    for max_refused, code in ((0.19, 1), (0.2, 0)):
        write_params(tmp_path / "params.yaml", **CHANGES | {"data.max_refused": max_refused})
        assert run_stage(prepare.main, tmp_path) == code
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["prepared"]


def test_a_photo_saved_again_without_loss_in_another_breed_is_a_label_conflict_too(
    tmp_path, draw_photo, write_params, run_stage
):
    write_params(tmp_path / "params.yaml", **CHANGES)
    make_breeds(tmp_path / "dogs", draw_photo, Cairn=20, Dingo=20)
    with Image.open(tmp_path / "dogs" / "Cairn" / "3.png") as photo:
        photo.save(tmp_path / "dogs" / "Dingo" / "again.bmp")
    assert run_stage(prepare.main, tmp_path) == 0
    refused = read_table(tmp_path / "data" / "prepared" / "refused.csv")
    both = "Cairn/3.png, Dingo/again.bmp"
    assert refused.to_numpy().tolist() == [
        ["Cairn/3.png", "Cairn", "same photo in two breeds", both],
        ["Dingo/again.bmp", "Dingo", "same photo in two breeds", both],
    ]


ODD_NAMES = [
    '"quoted" \'twice\'', "two\nlines", "  spaces around  ", "-rf", "--help", "🐕‍🦺", "كلب", "‮right to left", "犬",
    unicodedata.normalize("NFD", "Löwchen"), "a&b <i>", "$x^^2$", "%s{0}", "a;b|c", "*", "?", "~", "#1", "=1+1",
]  # fmt: skip


def test_names_of_breeds_and_photos_may_be_as_odd_as_the_system_allows(
    tmp_path, draw_photo, write_params, run_stage, contents
):
    write_params(tmp_path / "params.yaml", **CHANGES)
    for number, breed in enumerate(ODD_NAMES):
        for place, name in enumerate(ODD_NAMES):
            encode(draw_photo(1000 * number + place, (32, 32)), tmp_path / "dogs" / breed / name / f"{name}.png")
    assert run_stage(prepare.main, tmp_path) == 0
    manifest = read_table(tmp_path / "data" / "prepared" / "manifest.csv")
    assert sorted(manifest["file"]) == sorted(contents(tmp_path / "dogs"))
    made = {name for name in contents(tmp_path / "data" / "prepared") if name.endswith(".png")}
    assert made == {f"{row.split}/{row.file}.png" for row in manifest.itertuples()}
    assert sorted(manifest["breed"].unique()) == sorted(ODD_NAMES)


def run_with_no_more_rights_than_others():
    """Run the stage in this folder; root would be let in everywhere, so it gives that up first."""

    def give_up_roots_rights():
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, from what the stage is started with
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP

    return run_alone(Path.cwd(), preexec_fn=give_up_roots_rights if os.geteuid() == 0 else None)


def test_a_photo_that_may_not_be_read_is_refused(tmp_path, draw_photo, write_params, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path / "params.yaml", **CHANGES)
    make_breeds(tmp_path / "dogs", draw_photo, Cairn=20, Dingo=20)
    (tmp_path / "dogs" / "Dingo" / "3.png").chmod(0)
    done = run_with_no_more_rights_than_others()
    assert done.returncode == 0, done.stderr
    refused = read_table(tmp_path / "data" / "prepared" / "refused.csv")
    assert refused.to_numpy().tolist() == [["Dingo/3.png", "Dingo", "unreadable", "Permission denied"]]


def test_a_folder_that_may_not_be_listed_stops_the_stage_as_any_number_of_photos_may_be_in_it(
    tmp_path, draw_photo, write_params, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_params(tmp_path / "params.yaml", **CHANGES)
    make_breeds(tmp_path / "dogs", draw_photo, Cairn=20, Dingo=20)
    (tmp_path / "dogs" / "Dingo" / "private").mkdir(mode=0)
    done = run_with_no_more_rights_than_others()
    assert done.returncode == 1
    assert done.stderr == "error: the system refuses to write or read dogs/Dingo/private: Permission denied\n"
    assert not (tmp_path / "data").exists()


def test_links_within_a_breed_lead_round_in_no_circle(tmp_path, draw_photo, write_params, run_stage):
    write_params(tmp_path / "params.yaml", **CHANGES)
    make_breeds(tmp_path / "dogs", draw_photo, Cairn=20, Dingo=20)
    for name, target in {"up": "..", "self": "self", "here": ".", "photo.png": "../Cairn/3.png"}.items():
        (tmp_path / "dogs" / "Dingo" / name).symlink_to(target)
    assert run_stage(prepare.main, tmp_path) == 0
    refused = read_table(tmp_path / "data" / "prepared" / "refused.csv")
    assert refused[["file", "reason", "detail"]].to_numpy().tolist() == [
        ["Cairn/3.png", "same photo in two breeds", "Cairn/3.png, Dingo/photo.png"],
        ["Dingo/here", "unreadable", "Is a directory"],
        ["Dingo/photo.png", "same photo in two breeds", "Cairn/3.png, Dingo/photo.png"],
        ["Dingo/self", "unreadable", "Too many levels of symbolic links"],
        ["Dingo/up", "unreadable", "Is a directory"],
    ]


def test_out_of_memory_is_told_and_refuses_no_photo(tmp_path, draw_photo, write_params, run_stage, contents, capsys):
    write_params(tmp_path / "params.yaml", **CHANGES)
    make_breeds(tmp_path / "dogs", draw_photo, Cairn=20, Dingo=20)
    before = contents(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stages.lib.images.photos._to_rgb", lambda _: bytearray(2**62))
        assert run_stage(prepare.main, tmp_path) == 1
    assert "error: not enough memory: dogs/Cairn/0.png takes about 0 MB to read" in capsys.readouterr().err
    assert contents(tmp_path) == before
