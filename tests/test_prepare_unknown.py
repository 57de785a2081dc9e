"""Photos of anything but the breeds: whatever their folders, read or refused with a reason, and there may be none."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages import prepare_unknown
from stages.lib.core.shrinking import shrink
from stages.lib.images.photos import to_square

SIDE = 32  # pixels
PHOTOS = ["a.jpg", "cats/b, or c.png", "cats/indoors/Löwe.jpg", "犬.jpg"]
REFUSED = {
    "cats/cut.png": ("cut short", "image file is truncated"),
    "cats/empty.jpg": ("empty", ""),
    "large.png": ("too many pixels", "400x300"),
    "notes.txt": ("not a picture", ""),
}
OUT = "data/prepared_unknown"


@pytest.fixture
def project(tmp_path, write_params):
    """A folder of its own with params.yaml; `data.unknown` is a folder that is empty."""
    write_params(
        tmp_path / "params.yaml", **{"data.unknown": "others", "data.image_size": SIDE, "data.max_pixels": 10_000}
    )
    (tmp_path / "others").mkdir()
    return tmp_path


@pytest.fixture
def others(project, draw_photo):
    """Photos in folders of folders, and among them what is refused."""
    folder = project / "others"
    (folder / "cats/indoors").mkdir(parents=True)
    for number, name in enumerate(PHOTOS):
        draw_photo(number).save(folder / name)
    draw_photo(8).save(folder / "cats/cut.png")
    content = (folder / "cats/cut.png").read_bytes()
    (folder / "cats/cut.png").write_bytes(content[: len(content) // 2])
    (folder / "cats/empty.jpg").touch()
    draw_photo(9, (400, 300)).save(folder / "large.png")
    (folder / "notes.txt").write_text("no photo")
    return folder


def read_refused(project) -> dict[str, tuple[str, str]]:
    table = pd.read_csv(project / OUT / "refused.csv", dtype=str, keep_default_na=False)
    assert list(table.columns) == ["file", "reason", "detail"]
    return {row.file: (row.reason, row.detail) for row in table.itertuples()}


def prepared(project) -> list[str]:
    folder = project / OUT / "photos"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def test_each_photo_is_made_square_as_those_of_the_breeds_are_in_the_sub_folder_that_it_is_in(
    project, others, run_stage
):
    assert run_stage(prepare_unknown.main, project) == 0
    assert prepared(project) == sorted(f"{name}.png" for name in PHOTOS)
    for name in PHOTOS:
        with Image.open(others / name) as photo, Image.open(project / OUT / f"photos/{name}.png") as found:
            assert np.array_equal(found, to_square(photo, SIDE, "crop")), name
            assert not np.array_equal(found, shrink(to_square(photo, 2 * SIDE, "crop"), SIDE))


def test_what_can_not_be_trusted_is_refused_with_its_reason_and_stops_nothing(project, others, run_stage, capsys):
    """However much that is: of breeds, `data.max_refused` would."""
    assert run_stage(prepare_unknown.main, project) == 0
    found = read_refused(project)
    assert list(found) == sorted(REFUSED)
    for file, (reason, detail) in REFUSED.items():
        assert found[file][0] == reason
        assert detail in found[file][1]
    told = capsys.readouterr().out.splitlines()
    assert told == ["4 photos of anything else in others; 4 refused"] + [
        f"refused: {file}: {REFUSED[file][0]}" for file in sorted(REFUSED)
    ]
    assert others.exists()


@pytest.mark.usefixtures("others")
def test_the_same_bytes_are_made_again_and_nothing_is_left_of_what_was_there(project, run_stage, contents):
    assert run_stage(prepare_unknown.main, project) == 0
    first = contents(project / OUT)
    (project / OUT / "photos/old.jpg.png").touch()
    assert run_stage(prepare_unknown.main, project) == 0
    assert contents(project / OUT) == first
    assert list((project / "data").iterdir()) == [project / OUT], "half-done"


def test_an_empty_folder_gives_an_empty_folder_that_says_that_nothing_was_refused(project, run_stage, capsys, contents):
    assert run_stage(prepare_unknown.main, project) == 0
    assert contents(project / OUT) == {"refused.csv": b"file,reason,detail\n"}
    assert capsys.readouterr().out == "0 photos of anything else in others; 0 refused\n"


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda _: None, "which does not exist; `dvc repro` makes those of data/dvc.yaml"),
        (lambda path: path.write_text("a file"), "not a folder"),
    ],
    ids=["missing", "a file"],
)
def test_what_is_no_folder_is_one_clear_line_and_what_was_there_stays(project, run_stage, capsys, contents, make, told):
    assert run_stage(prepare_unknown.main, project) == 0
    before = contents(project / OUT)
    (project / "others").rmdir()
    make(project / "others")
    capsys.readouterr()
    assert run_stage(prepare_unknown.main, project) == 1
    assert capsys.readouterr().err == (
        f"error: data.unknown must be a folder; an empty one will do. Received: others, {told}.\n"
    )
    assert contents(project / OUT) == before


def test_a_name_that_no_table_can_hold_is_told_before_anything_is_read(project, others, run_stage, capsys):
    shutil.copyfile(others / "a.jpg", others / "two\rlines.jpg")
    assert run_stage(prepare_unknown.main, project) == 1
    assert "names of photos must be UTF-8" in capsys.readouterr().err
    assert not (project / OUT).exists()


def test_clutter_is_neither_read_nor_refused(project, others, run_stage):
    photo = (others / "a.jpg").read_bytes()
    for clutter in (".DS_Store", "Thumbs.db", "cats/desktop.ini", ".hidden/photo.jpg", "__MACOSX/._a.jpg"):
        (others / clutter).parent.mkdir(exist_ok=True)
        (others / clutter).write_bytes(photo)
    assert run_stage(prepare_unknown.main, project) == 0
    assert prepared(project) == sorted(f"{name}.png" for name in PHOTOS)
    assert set(read_refused(project)) == set(REFUSED)


def test_a_link_to_a_folder_and_one_to_nowhere_are_refused_and_a_link_to_a_photo_is_read(project, others, run_stage):
    (others / "again").symlink_to("cats")
    (others / "lost.jpg").symlink_to("nowhere.jpg")
    (others / "same.jpg").symlink_to("a.jpg")
    assert run_stage(prepare_unknown.main, project) == 0
    assert set(read_refused(project)) == {*REFUSED, "again", "lost.jpg"}
    assert prepared(project) == sorted(f"{name}.png" for name in (*PHOTOS, "same.jpg"))


def test_a_folder_may_be_called_what_the_stage_calls_its_table(project, draw_photo, run_stage):
    (project / "others/refused.csv").mkdir()
    draw_photo(1).save(project / "others/refused.csv/cat.jpg")
    assert run_stage(prepare_unknown.main, project) == 0
    assert prepared(project) == ["refused.csv/cat.jpg.png"]
