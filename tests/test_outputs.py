import pytest

from stages.lib.core.outputs import scratch_folder, whole_file, whole_folder, write_json


class HaltedError(Exception):
    pass


def fill_folder(path, name="new.txt"):
    with whole_folder(path) as partial:
        (partial / name).write_text("new")


def test_a_folder_replaces_what_stood_there_as_a_whole(tmp_path, contents):
    fill_folder(tmp_path / "data" / "out", "old.txt")
    fill_folder(tmp_path / "data" / "out")
    assert contents(tmp_path) == {"data/out/new.txt": b"new"}


def test_a_file_replaces_what_stood_there(tmp_path, contents):
    for text in ("old", "new"):
        with whole_file(tmp_path / "metrics" / "out.txt") as partial:
            partial.write_text(text)
    assert contents(tmp_path) == {"metrics/out.txt": b"new"}


def test_nothing_stands_in_a_folders_place_while_it_is_filled(tmp_path):
    with whole_folder(tmp_path / "out") as partial:
        (partial / "new.txt").write_text("new")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("exception", [HaltedError, KeyboardInterrupt])
@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_an_exception_leaves_the_old_output_untouched_and_nothing_beside_it(tmp_path, contents, whole, exception):
    fill_folder(tmp_path / "folder")
    (tmp_path / "file").write_text("old")
    before = contents(tmp_path)
    path = tmp_path / {whole_file: "file", whole_folder: "folder"}[whole]
    with pytest.raises(exception), whole(path) as partial:
        (partial if whole is whole_file else partial / "half.txt").write_text("half")
        raise exception
    assert contents(tmp_path) == before
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "folder"}


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_an_exception_makes_no_output_where_none_was(tmp_path, whole):
    with pytest.raises(HaltedError), whole(tmp_path / "out"):
        raise HaltedError
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_replaced(tmp_path, contents):
    (tmp_path / "folder.partial" / "sub").mkdir(parents=True)
    (tmp_path / "folder.partial" / "sub" / "stale.txt").write_text("stale")
    (tmp_path / "file.partial").write_text("stale, and longer than what comes now")
    fill_folder(tmp_path / "folder")
    with whole_file(tmp_path / "file") as partial:
        partial.write_text("new")
    assert contents(tmp_path) == {"folder/new.txt": b"new", "file": b"new"}


def test_json_keeps_the_order_of_keys_and_letters_of_every_language(tmp_path):
    write_json(tmp_path / "metrics" / "out.json", {"b": 1, "a": {"Löwchen": 0.5}})
    expected = '{\n  "b": 1,\n  "a": {\n    "Löwchen": 0.5\n  }\n}\n'
    assert (tmp_path / "metrics" / "out.json").read_bytes() == expected.encode()


def test_a_scratch_folder_is_empty_at_first_and_gone_at_last_whatever_happens(tmp_path, contents):
    left = tmp_path / "model.keras.scratch.partial" / "left_by_a_killed_run.npy"
    left.parent.mkdir()
    left.touch()
    with pytest.raises(HaltedError), scratch_folder(tmp_path / "model.keras") as folder:
        assert list(folder.iterdir()) == []
        (folder / "pictures.npy").touch()
        raise HaltedError
    assert contents(tmp_path) == {}
