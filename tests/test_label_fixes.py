"""What a person decided about labels is applied as a whole or not at all, and no photo is touched for it."""

import hashlib
import json

import pandas as pd
import pytest
from PIL import Image

from stages import prepare
from stages.lib.core.errors import UserError
from stages.lib.core.splits import SPLITS
from stages.lib.images.label_fixes import LabelFix, apply_label_fixes, read_label_fixes, write_label_fixes

HEADER = "sha256,file,action,breed,note\n"
ONE, OTHER = "1" * 64, "2" * 64
CHANGES = {"data.source": "dogs", "data.image_size": 32, "data.max_refused": 0.3}
NONE = {what: dict.fromkeys(SPLITS, 0) for what in ("kept", "moved", "dropped")}


# The file


def test_what_is_written_is_read_again_in_the_order_of_the_files(tmp_path):
    file = tmp_path / "label_fixes.csv"
    fixes = [
        LabelFix(OTHER, 'Löwchen/two\nlines, "quoted".jpg', "move", "犬", "a; note, 'here'"),
        LabelFix(ONE, "Cairn/a.jpg", "keep"),
    ]
    write_label_fixes(file, fixes)
    assert file.read_bytes().startswith(HEADER.encode())
    assert read_label_fixes(file) == fixes[::-1]


def test_no_file_and_a_header_alone_are_no_decision(tmp_path, root):
    assert read_label_fixes(tmp_path / "label_fixes.csv") == []
    assert (root / "data/label_fixes.csv").read_text().startswith(HEADER)
    (tmp_path / "label_fixes.csv").write_text(HEADER)
    assert read_label_fixes(tmp_path / "label_fixes.csv") == []


def test_a_file_that_a_spreadsheet_saved_is_read(tmp_path):
    file = tmp_path / "label_fixes.csv"
    file.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}{ONE},Cairn/a.jpg,drop,,\n\n".replace("\n", "\r\n").encode())
    assert read_label_fixes(file) == [LabelFix(ONE, "Cairn/a.jpg", "drop")]


def test_the_same_decision_twice_is_one(tmp_path):
    file = tmp_path / "label_fixes.csv"
    file.write_text(f"{HEADER}{ONE},Cairn/a.jpg,drop,,\n{ONE},Dingo/copy.jpg,drop,,again\n")
    assert read_label_fixes(file) == [LabelFix(ONE, "Cairn/a.jpg", "drop")]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (f"{ONE},Cairn/a.jpg,keep,", "must have 5 cells (sha256, file, action, breed, note), and has 4"),
        (f"{ONE},Cairn/a.jpg,keep,,,", "must have 5 cells (sha256, file, action, breed, note), and has 6"),
        ("12,Cairn/a.jpg,keep,,", "sha256 must be 64 of the digits 0-9 and a-f. Received: '12'"),
        (f"{ONE},a.jpg,keep,,", "file must be the photo's place below data.source, as BREED/PHOTO. Received: 'a.jpg'"),
        (f"{ONE},Cairn/a.jpg,delete,,", "action must be keep, move or drop. Received: 'delete'"),
        (f"{ONE},Cairn/a.jpg,move,,", "breed must be named for move, and for nothing else. Received: 'move' with ''"),
        (
            f"{ONE},Cairn/a.jpg,keep,Cairn,",
            "breed must be named for move, and for nothing else. Received: 'keep' with 'Cairn'",
        ),
        (f"{OTHER},Cairn/b.jpg,drop,,", "Cairn/b.jpg is to drop, but by line 2 to keep"),
        (f"{OTHER},Cairn/b.jpg,move,Dingo,", "Cairn/b.jpg is to move to Dingo, but by line 2 to keep"),
    ],
)
def test_a_line_that_is_no_decision_or_contradicts_another_is_named(tmp_path, line, told):
    file = tmp_path / "label_fixes.csv"
    file.write_text(f"{HEADER}{OTHER},Cairn/b.jpg,keep,,\n{line}\n")
    with pytest.raises(UserError) as error:
        read_label_fixes(file)
    assert str(error.value) == (
        f"{file} has lines that can't be applied, and none was:\nline 3: {told}\nMend or remove them."
    )


def test_of_very_many_bad_lines_the_first_are_named(tmp_path):
    file = tmp_path / "label_fixes.csv"
    file.write_text(HEADER + "bad\n" * 30)
    with pytest.raises(UserError) as error:
        read_label_fixes(file)
    assert str(error.value).splitlines()[-2:] == ["… and 10 more", "Mend or remove them."]
    assert len(str(error.value).splitlines()) == 23


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", f"must begin with the line {HEADER.strip()}. Received: an empty file"),
        (b"sha256;file;action;breed;note\n", f"must begin with the line {HEADER.strip()}. Received: sha256;file"),
        (HEADER.encode() + b"\xff", "must be comma-separated UTF-8: "),
        (HEADER.encode() + b'"open', "must be comma-separated UTF-8: "),
    ],
)
def test_a_file_that_is_no_table_of_decisions_is_one_message(tmp_path, content, told):
    (tmp_path / "label_fixes.csv").write_bytes(content)
    with pytest.raises(UserError) as error:
        read_label_fixes(tmp_path / "label_fixes.csv")
    assert told in str(error.value)


# What becomes of the photos


def record(file: str, sha256: str, reason: str = "") -> dict:
    return {"file": file, "breed": file.partition("/")[0], "reason": reason} | ({} if reason else {"sha256": sha256})


def applied(*fixes: LabelFix, records: list[dict] | None = None) -> tuple[list, list[str]]:
    """The labels and the decisions of photos, and the sentences about decisions that concern none."""
    records = records or [record("Cairn/a.jpg", ONE), record("Dingo/b.jpg", OTHER)]
    idle = apply_label_fixes(records, list(fixes), ["Cairn", "Dingo"], "fixes.csv")
    return [(each["label"], each["label_fix"]) for each in records], idle


def test_a_photo_is_kept_moved_and_dropped():
    assert applied(LabelFix(ONE, "Cairn/a.jpg", "keep")) == ([("Cairn", "keep"), ("Dingo", "")], [])
    assert applied(LabelFix(ONE, "Cairn/a.jpg", "move", "Dingo")) == ([("Dingo", "move"), ("Dingo", "")], [])
    assert applied(LabelFix(OTHER, "Dingo/b.jpg", "drop")) == ([("Cairn", ""), ("", "drop")], [])


def test_a_decision_is_about_the_content_whatever_its_name_and_holds_for_each_copy():
    records = [record("Cairn/renamed.jpg", ONE), record("Dingo/copy.jpg", ONE)]
    found = applied(LabelFix(ONE, "Cairn/a.jpg", "move", "Dingo"), records=records)
    assert found == ([("Dingo", "move"), ("Dingo", "keep")], [])


def test_a_photo_that_was_put_into_the_right_folder_since_is_kept_there():
    found = applied(LabelFix(ONE, "Dingo/a.jpg", "move", "Cairn"))
    assert found == ([("Cairn", "keep"), ("Dingo", "")], [])


def test_a_label_is_not_kept_in_another_folder_than_it_was_looked_at_in():
    labels, idle = applied(LabelFix(ONE, "Dingo/a.jpg", "keep"))
    assert labels == [("Cairn", ""), ("Dingo", "")]
    assert idle == ["Dingo/a.jpg (keep) stands in another breed now (Cairn/a.jpg): decide again"]


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("Cairn/gone.jpg", "Cairn/gone.jpg (drop) is not there, or can't be read"),
        ("Cairn/a.jpg", "Cairn/a.jpg (drop) has changed since it was decided"),
    ],
)
def test_a_decision_about_a_photo_that_is_gone_or_was_changed_is_told_and_applies_to_none(file, told):
    labels, idle = applied(LabelFix("3" * 64, file, "drop"))
    assert labels == [("Cairn", ""), ("Dingo", "")]
    assert idle == [told]


def test_of_a_photo_that_cannot_be_read_nothing_is_decided():
    records = [record("Cairn/a.jpg", ONE, reason="damaged")]
    labels, idle = applied(LabelFix(ONE, "Cairn/a.jpg", "move", "Dingo"), records=records)
    assert labels == [("Cairn", "")]
    assert idle == ["Cairn/a.jpg (move to Dingo) has changed since it was decided"]


def test_a_breed_that_has_no_folder_is_named_and_nothing_is_applied():
    records = [record("Cairn/a.jpg", ONE), record("Dingo/b.jpg", OTHER)]
    fixes = [LabelFix(OTHER, "Dingo/b.jpg", "drop"), LabelFix(ONE, "Cairn/a.jpg", "move", "Dongo")]
    with pytest.raises(UserError, match=r"Cairn/a\.jpg is to move to Dongo, which is none of Cairn, Dingo"):
        applied(*fixes, records=records)
    assert all("label" not in each for each in records)


def test_a_place_that_is_taken_is_named():
    records = [record("Cairn/a.jpg", ONE), record("Dingo/moved from Cairn/a.jpg", OTHER)]
    with pytest.raises(UserError, match=r"can't move to Dingo: Dingo/moved from Cairn/a\.jpg is there already"):
        applied(LabelFix(ONE, "Cairn/a.jpg", "move", "Dingo"), records=records)


# The stage


@pytest.fixture
def dogs(tmp_path, draw_photo, write_params):
    """Twenty photos of each of two breeds, and one of them in the other's folder, too."""
    write_params(tmp_path / "params.yaml", **CHANGES)
    for number, breed in enumerate(("Cairn", "Dingo")):
        (tmp_path / "dogs" / breed).mkdir(parents=True)
        for place in range(20):
            draw_photo(1000 * number + place, (32, 32)).save(tmp_path / "dogs" / breed / f"{place:02}.png")
    (tmp_path / "dogs/Dingo/whose.png").write_bytes((tmp_path / "dogs/Cairn/07.png").read_bytes())
    return tmp_path


def decide(folder, *decisions: tuple[str, str, str]) -> None:
    fixes = [
        LabelFix(hashlib.sha256((folder / "dogs" / file).read_bytes()).hexdigest(), file, action, breed)
        for file, action, breed in decisions
    ]
    write_label_fixes(folder / "data/label_fixes.csv", fixes)


def manifest(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "data/prepared/manifest.csv", dtype=str, keep_default_na=False).set_index("source_file")


def counted(folder) -> dict:
    return json.loads((folder / "metrics/prepare.json").read_text())


def test_the_stage_moves_drops_and_keeps_by_name_and_touches_no_photo(dogs, run_stage, contents, capsys):
    assert run_stage(prepare.main, dogs) == 0
    before, photos = manifest(dogs), contents(dogs / "dogs")
    capsys.readouterr()
    decide(
        dogs, ("Cairn/03.png", "move", "Dingo"), ("Dingo/04.png", "drop", ""), ("Dingo/05.png", "keep", ""),
        ("Cairn/07.png", "move", "Dingo"),
    )  # fmt: skip
    with (dogs / "data/label_fixes.csv").open("a") as file:
        file.write(f"{ONE},Dingo/gone.png,drop,,\n")
    assert run_stage(prepare.main, dogs) == 0
    after = manifest(dogs)

    assert contents(dogs / "dogs") == photos
    splits = before["split"].reindex(after.index)
    columns = ["file", "breed", "split", "folder_breed", "label_fix"]
    assert after.loc["Cairn/03.png", columns].tolist() == [
        "Dingo/moved from Cairn/03.png", "Dingo", splits["Cairn/03.png"], "Cairn", "move",
    ]  # fmt: skip
    assert after.loc["Dingo/04.png", columns].tolist() == ["Dingo/04.png", "", "dropped", "Dingo", "drop"]
    assert after.loc["Dingo/05.png", columns].tolist() == [
        "Dingo/05.png",
        "Dingo",
        splits["Dingo/05.png"],
        "Dingo",
        "keep",
    ]
    both = after.loc[["Cairn/07.png", "Dingo/whose.png"]]
    assert both["breed"].tolist() == ["Dingo", "Dingo"], "the conflict is decided, and neither is refused"
    assert both["group"].nunique() == both["split"].nunique() == 1
    others = before.index.difference(["Cairn/03.png", "Dingo/04.png"])
    assert (after.loc[others, "label_fix"] == "").sum() == len(others) - 1

    pictures = {name for name in contents(dogs / "data/prepared") if name.endswith(".png")}
    used = after[after["split"] != "dropped"]
    assert pictures == {f"{row.split}/{row.file}.png" for row in used.itertuples()}
    with (
        Image.open(dogs / "dogs/Cairn/03.png") as photo,
        Image.open(dogs / f"data/prepared/{splits['Cairn/03.png']}/Dingo/moved from Cairn/03.png.png") as picture,
    ):
        assert picture.tobytes() == photo.tobytes()

    found = counted(dogs)
    assert (found["photos"], found["refused"]) == (len(used), {"total": 0})
    split_of_both = both["split"].iloc[0]
    moved = {split: (split == splits["Cairn/03.png"]) + (split == split_of_both) for split in SPLITS}
    assert found["label_fixes"]["moved"] == moved
    assert {what: sum(found["label_fixes"][what].values()) for what in ("kept", "dropped")} == {"kept": 2, "dropped": 1}
    assert found["label_fixes"]["idle"] == 1
    assert (
        "decided in data/label_fixes.csv: Dingo/gone.png (drop) is not there, or can't be read"
        in capsys.readouterr().out.splitlines()
    )


def test_no_decision_brings_any_photo_to_another_split(dogs, run_stage):
    decide(dogs, ("Cairn/07.png", "drop", ""))  # the conflict, so that both runs have the same photos
    assert run_stage(prepare.main, dogs) == 0
    before = manifest(dogs)["split"]
    moved = [(f"Cairn/{place:02}.png", "move", "Dingo") for place in range(0, 6)]
    dropped = [(f"Dingo/{place:02}.png", "drop", "") for place in range(3)]
    decide(dogs, ("Cairn/07.png", "drop", ""), *moved, *dropped)
    assert run_stage(prepare.main, dogs) == 0
    after = manifest(dogs)["split"].reindex(before.index)
    assert (after != before)[[file for file, *_ in dropped]].all()
    assert (after == before).drop([file for file, *_ in dropped]).all()


@pytest.mark.parametrize(
    "line", [f"{ONE},Cairn/03.png,shoot,,", "{sha256},Cairn/03.png,move,Dongo,"], ids=["no action", "no such breed"]
)
def test_a_line_that_cannot_be_applied_leaves_everything_as_it_was(dogs, run_stage, contents, capsys, line):
    assert run_stage(prepare.main, dogs) == 0
    decide(dogs, ("Dingo/04.png", "drop", ""))
    sha256 = hashlib.sha256((dogs / "dogs/Cairn/03.png").read_bytes()).hexdigest()
    with (dogs / "data/label_fixes.csv").open("a") as file:
        file.write(line.format(sha256=sha256) + "\n")
    before = contents(dogs)
    assert run_stage(prepare.main, dogs) == 1
    assert "data/label_fixes.csv has lines that can't be applied, and none was:" in capsys.readouterr().err
    assert contents(dogs) == before


def test_a_breed_that_is_moved_away_as_a_whole_is_told_with_what_took_its_photos(dogs, run_stage, capsys):
    decide(
        dogs,
        *(
            (f"Cairn/{place:02}.png", "move" if place < 15 else "drop", "Dingo" if place < 15 else "")
            for place in range(20)
        ),
    )
    assert run_stage(prepare.main, dogs) == 1
    assert (
        "Cairn has too few photos: 0 can be used, which gives 0 to train, 0 to val, 0 to test; 15 moved by "
        "data/label_fixes.csv; 5 dropped by data/label_fixes.csv"
    ) in capsys.readouterr().err


def test_near_duplicates_in_two_breeds_are_pointed_out_until_both_are_decided(dogs, draw_photo, run_stage, capsys):
    draw_photo(3, (32, 32)).resize((48, 48)).save(dogs / "dogs/Dingo/again.png")
    kept, other = ("Cairn/03.png", "keep", ""), ("Dingo/again.png", "keep", "")
    for decisions, told in (
        ((), True),
        ((kept,), True),
        ((kept, other), False),
        ((("Cairn/03.png", "drop", ""),), False),
    ):
        decide(dogs, *decisions)
        assert run_stage(prepare.main, dogs) == 0
        assert ("alike in two breeds" in capsys.readouterr().out) == told
