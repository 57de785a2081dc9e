import io
import subprocess
import sys
import tarfile

import pytest

from stages.lib.core.errors import UserError
from stages.sources import stanford_dogs
from stages.sources.stanford_dogs import choose_breeds, list_breeds, unpack

CAIRN = "Images/n02096177-cairn/n02096177_{}.jpg"
PYRENEES = "Images/n02111500-Great_Pyrenees/n02111500_{}.jpg"
COONHOUND = "Images/n02089078-black-and-tan_coonhound/n02089078_{}.jpg"
BREEDS = ["Great_Pyrenees", "Siberian_husky", "black-and-tan_coonhound", "cairn"]


def add(tar, name, content=b"", **fields):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in fields.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def archive(tmp_path):
    """Three breeds of one to three photos, in no order, with folders as members as in the official archive."""
    path = tmp_path / "images.tar"
    with tarfile.open(path, "w") as tar:
        add(tar, "Images", type=tarfile.DIRTYPE)
        for name in (PYRENEES.format(7), CAIRN.format(1000), COONHOUND.format(5), CAIRN.format(20), CAIRN.format(3)):
            add(tar, name, name.encode() * 100)
    return path


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "out" / "stanford_dogs"


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() and not path.is_symlink() else path
        for path in folder.rglob("*")
        if not path.is_dir() or path.is_symlink()
    }


def photo(template, number):
    return template.format(number).encode() * 100


def test_only_the_breeds_asked_for_are_unpacked(archive, folder):
    counts = unpack(archive, folder, ["cairn", "Great_Pyrenees"])
    assert counts == {"Great_Pyrenees": 1, "cairn": 3}
    assert tree(folder) == {
        "Great_Pyrenees/n02111500_7.jpg": photo(PYRENEES, 7),
        "cairn/n02096177_1000.jpg": photo(CAIRN, 1000),
        "cairn/n02096177_20.jpg": photo(CAIRN, 20),
        "cairn/n02096177_3.jpg": photo(CAIRN, 3),
    }


def test_all_breeds_are_unpacked_where_none_is_named(archive, folder):
    assert unpack(archive, folder, []) == {"Great_Pyrenees": 1, "black-and-tan_coonhound": 1, "cairn": 3}


def test_breeds_no_longer_asked_for_are_gone(archive, folder):
    unpack(archive, folder, ["cairn"])
    unpack(archive, folder, ["Great_Pyrenees"])
    assert list(tree(folder)) == ["Great_Pyrenees/n02111500_7.jpg"]


@pytest.mark.parametrize(
    "asked",
    ["black-and-tan_coonhound", "Black and Tan Coonhound", "BLACK_AND_TAN_COONHOUND", " black-and-tan  coonhound "],
)
def test_case_spaces_underscores_and_hyphens_are_forgiven(asked):
    assert choose_breeds([asked], BREEDS) == ["black-and-tan_coonhound"]


def test_breed_named_twice_counts_once_and_the_order_is_sorted():
    assert choose_breeds(["Cairn", *BREEDS[::-1], "CAIRN"], BREEDS) == BREEDS


@pytest.mark.parametrize(("asked", "near"), [("husky", "Siberian_husky"), ("carin", "cairn"), ("Pyrenees", BREEDS[0])])
def test_unknown_breed_is_told_with_the_closest_names(asked, near):
    with pytest.raises(UserError, match=rf"Received: '{asked}'; closest: {near}.*\n.*--list"):
        choose_breeds(["cairn", asked], BREEDS)


def test_unknown_breeds_are_all_told_and_nothing_is_made(archive, folder):
    with pytest.raises(UserError, match=r"Received: 'qqq'\nReceived: 'zzz'\n"):
        unpack(archive, folder, ["qqq", "cairn", "zzz"])
    assert not folder.exists()


def test_breeds_are_listed_without_making_anything(archive, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(stanford_dogs.paths, "STANFORD_DOGS_ARCHIVE", archive)
    monkeypatch.setattr(sys, "argv", ["stanford_dogs", "--list"])
    stanford_dogs.main()
    assert capsys.readouterr().out == "Great_Pyrenees\nblack-and-tan_coonhound\ncairn\n"
    assert list(tmp_path.iterdir()) == [archive]


@pytest.mark.parametrize(
    "name",
    [
        "../n02096177_9.jpg",
        "Images/n02096177-cairn/../../../n02096177_9.jpg",
        "Images/n02096177-../n02096177_9.jpg",
        "{tmp_path}/Images/n02096177-cairn/n02096177_9.jpg",
        "Images/n02096177-cairn/._n02096177_9.jpg",
        "Images/.n02096177-cairn/n02096177_9.jpg",
        "Images/n02096177-cairn/sub/n02096177_9.jpg",
        "Images/n02096177-cairn/n02096177_9.jpg\n",
        "Images/n02096177-cairn/n02096177_9.JPG.exe",
        "Images/n02096177-cairn/README.md",
        "Images/README.md",
        "Annotation/n02096177-cairn/n02096177_9",
        "C:\\Images\\n02096177-cairn\\n02096177_9.jpg",
    ],
)
def test_member_with_another_name_is_left_out(tmp_path, archive, folder, name):
    with tarfile.open(archive, "a") as tar:
        add(tar, name.format(tmp_path=tmp_path), b"stray")
    unpack(archive, folder, ["cairn"])
    assert sorted(tree(folder)) == [f"cairn/n02096177_{number}.jpg" for number in (1000, 20, 3)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images.tar", "out"]


@pytest.mark.parametrize("kind", ["SYMTYPE", "LNKTYPE", "CHRTYPE", "BLKTYPE", "FIFOTYPE", "DIRTYPE"])
def test_member_that_is_no_regular_file_is_left_out(archive, folder, kind):
    with tarfile.open(archive, "a") as tar:
        add(tar, CAIRN.format(9), type=getattr(tarfile, kind), linkname="/etc/hostname")
    unpack(archive, folder, ["cairn"])
    assert sorted(tree(folder)) == [f"cairn/n02096177_{number}.jpg" for number in (1000, 20, 3)]


def test_member_that_comes_twice_counts_as_it_came_last(archive, folder):
    with tarfile.open(archive, "a") as tar:
        add(tar, PYRENEES.format(7), b"newer")
    unpack(archive, folder, ["Great_Pyrenees"])
    assert tree(folder) == {"Great_Pyrenees/n02111500_7.jpg": b"newer"}


def test_member_too_large_for_a_photo_is_refused(archive, folder, monkeypatch):
    monkeypatch.setattr(stanford_dogs, "LARGEST_PHOTO", 6_000)
    with tarfile.open(archive, "a") as tar:
        add(tar, CAIRN.format(9), b"x" * 6_001)
    with pytest.raises(UserError, match=r"6,000 bytes at most. Received: 6,001 in .*n02096177_9.jpg"):
        unpack(archive, folder, ["cairn"])
    assert not folder.exists()


@pytest.mark.parametrize(
    "beyond",
    [
        pytest.param(0, id="before its header"),
        pytest.param(100, id="in its header"),
        pytest.param(600, id="in its data"),
        pytest.param(512 + 4_096, id="after its data"),
    ],
)
def test_archive_that_is_cut_short_at_its_last_photo_is_refused(archive, folder, beyond):
    unpack(archive, folder, ["cairn"])
    before = tree(folder)
    with tarfile.open(archive) as tar:
        last = tar.getmembers()[-1]
    archive.write_bytes(archive.read_bytes()[: last.offset + beyond])
    with pytest.raises(UserError, match="is broken"):
        unpack(archive, folder, ["Great_Pyrenees"])
    assert tree(folder) == before


def test_archive_with_a_damaged_header_is_refused(archive, folder):
    with tarfile.open(archive) as tar:
        last = tar.getmembers()[-1]
    content = bytearray(archive.read_bytes())
    content[last.offset + 148 : last.offset + 156] = b"badcheck"  # the header's checksum
    archive.write_bytes(content)
    with pytest.raises(UserError, match="is broken"):
        unpack(archive, folder, ["cairn"])


def test_sparse_member_of_few_bytes_that_unpack_to_many_is_left_out(tmp_path, archive, folder):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(40_000_000)
    sparse = tmp_path / "sparse.tar"
    name = CAIRN.format(9)
    flags = ["--sparse", "--format=gnu", f"--transform=s,.*,{name},"]
    subprocess.run(["tar", "-cf", sparse, *flags, "-C", tmp_path, "sparse"], check=True)
    with tarfile.open(sparse) as tar:
        assert [(member.name, member.size) for member in tar] == [(name, 40_000_000)]
        end = tar.offset  # before the zeros that close it
    archive.write_bytes(sparse.read_bytes()[: end - end % 512] + archive.read_bytes())
    assert archive.stat().st_size < 100_000
    unpack(archive, folder, ["cairn"])
    assert sorted(tree(folder)) == [f"cairn/n02096177_{number}.jpg" for number in (1000, 20, 3)]


@pytest.mark.parametrize("size", [-512, -(2**40), 2**40])
def test_member_of_an_impossible_size_does_not_send_the_reader_round_in_circles(archive, folder, size):
    with tarfile.open(archive) as tar:
        last = tar.getmembers()[-1]
    content = bytearray(archive.read_bytes())
    last.size = size
    content[last.offset : last.offset + 512] = last.tobuf(format=tarfile.GNU_FORMAT)
    archive.write_bytes(content)
    with pytest.raises(UserError, match=f"is broken: a member of {size:,} bytes"):
        unpack(archive, folder, ["cairn"])
    assert not folder.exists()


def test_headers_within_headers_without_end_are_refused(archive, folder):
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type = tarfile.GNUTYPE_LONGNAME
    long_name.size = 512
    archive.write_bytes((long_name.tobuf(format=tarfile.GNU_FORMAT) + bytes(512)) * 5_000 + archive.read_bytes())
    with pytest.raises(UserError, match="is broken: RecursionError"):
        unpack(archive, folder, ["cairn"])


@pytest.mark.parametrize("content", [b"", b"<html>log in</html>", b"x" * 10_240])
def test_file_that_is_no_archive_is_refused(tmp_path, folder, content):
    path = tmp_path / "images.tar"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is broken"):
        unpack(path, folder, [])


def test_archive_without_photos_is_refused(tmp_path, folder):
    path = tmp_path / "images.tar"
    tarfile.open(path, "w").close()
    with pytest.raises(UserError, match="holds no photo"):
        unpack(path, folder, [])


def test_missing_archive_names_the_stage_that_makes_it(tmp_path):
    with pytest.raises(UserError, match=r"python -m stages\.sources\.stanford_dogs_archive"):
        list_breeds(tmp_path / "images.tar")
