"""Thousands of damaged files: each is read or refused, at once and within bounds, and never ends the run.

In full: FUZZ_FILES=20000 pytest -s -m slow tests/test_fuzz.py
"""

import functools
import io
import json
import multiprocessing
import os
import resource
import shutil
import tarfile
import time
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from stages.lib.core.errors import UserError
from stages.lib.core.params import load_params
from stages.lib.images.duplicates import perceptual_hashes
from stages.lib.images.photos import FORMATS, Refused, read_photo, to_square
from stages.sources.stanford_dogs import unpack

ROOT = Path(__file__).resolve().parent.parent
KEPT = Path(__file__).parent / "fuzz_failures"  # files that once failed, as <target>-<what>
FEW = 60
FILES = int(os.environ.get("FUZZ_FILES", "600"))
SECONDS = 5  # of the processor
MEMORY = 2**30  # bytes
PATIENCE = 60  # seconds, until a worker that says nothing counts as hanging
SHARES = {"picture": 0.8, "archive": 0.1, "params": 0.1}


# What is done with a file, in a process of its own, which may end or hang


def read_picture(path):
    photo = read_photo(path, load_params(ROOT / "params.yaml").data.max_pixels)
    to_square(photo, 128, "crop")
    perceptual_hashes(photo)


def read_archive(path):
    folder = path.parent / "out" / "dogs"
    try:
        unpack(path, folder, [])
    finally:
        strays = {entry.name for entry in path.parent.iterdir()} - {path.name, "out"}
        assert not strays, f"written outside its folder: {strays}"
        shutil.rmtree(path.parent / "out", ignore_errors=True)


TARGETS = {"picture": read_picture, "archive": read_archive, "params": load_params}


def serve(connection, target, path):
    """Do with ``path`` what ``target`` says, time after time, and tell what came of it and what it took."""
    resource.setrlimit(resource.RLIMIT_AS, (8 * MEMORY, 8 * MEMORY))  # spares the machine
    while connection.recv():
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts anew
        started = time.process_time()
        fault = None
        outcome = "read"
        try:
            TARGETS[target](path)
        except (Refused, UserError):
            outcome = "refused"
        except BaseException as error:
            outcome = "fault"
            fault = f"{type(error).__name__}: {error}"[:300]
        seconds = time.process_time() - started
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        peak = int(status["VmHWM"].split()[0]) * 1024
        connection.send({"outcome": outcome, "fault": fault, "seconds": seconds, "memory": peak})


class Worker:
    """A process that is given one file after the other, and replaced where it ends or hangs."""

    def __init__(self, target, folder):
        self.target = target
        folder.mkdir()
        self.path = folder / "file"
        self.start()

    def start(self):
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(target=serve, args=(other, self.target, self.path), daemon=True)
        self.process.start()
        other.close()

    def stop(self):
        self.process.kill()
        self.process.join()

    def __call__(self, content):
        """What became of a file of this ``content``."""
        self.path.write_bytes(content)
        self.connection.send(True)
        try:
            if self.connection.poll(PATIENCE):
                return self.connection.recv()
            fault = f"no answer within {PATIENCE} s"
        except EOFError:
            self.process.join()
            fault = f"the process ended with {self.process.exitcode}"
        self.stop()
        self.start()
        return {"outcome": "fault", "fault": fault, "seconds": 0.0, "memory": 0}


def complaint(answer):
    """What is wrong with what a worker tells, or None."""
    if answer["fault"]:
        return answer["fault"]
    if answer["seconds"] > SECONDS:
        return f"{answer['seconds']:.1f} s"
    if answer["memory"] > MEMORY:
        return f"{answer['memory'] / 2**20:.0f} MiB"
    return None


# What the files are made of


def drawn(kind, **options):
    buffer = io.BytesIO()
    picture = Image.new("RGB", (64, 48), (200, 180, 40))
    ImageDraw.Draw(picture).ellipse((8, 8, 56, 40), fill=(40, 60, 200))
    mode = options.pop("mode", "RGB")
    picture.convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


def exif():
    tags = Image.Exif()
    tags[0x0112] = 6
    return tags


def tar(kind):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for number in range(4):
            name = f"Images/n0{number}-{'ab'[number % 2] * (90 if number == 3 else 5)}/n0{number}_{number}.jpg"
            member = tarfile.TarInfo(name)
            member.size = 700 * number
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return buffer.getvalue()


@functools.cache
def originals(target):
    """Whole files to be damaged."""
    if target == "params":
        return [(ROOT / "params.yaml").read_bytes()]
    if target == "archive":
        return [tar(kind) for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
    several = {"save_all": True, "append_images": [Image.new("RGB", (64, 48))]}
    return [
        *(drawn(kind) for kind in FORMATS),
        drawn("JPEG", progressive=True, exif=exif(), icc_profile=bytes(300)),
        drawn("JPEG", mode="CMYK"),
        drawn("PNG", mode="RGBA"),
        drawn("PNG", mode="P", transparency=0),
        drawn("PNG", mode="I;16"),
        drawn("PNG", **several),
        drawn("GIF", **several),
        drawn("WEBP", mode="RGBA", lossless=True),
        drawn("WEBP", **several),
        drawn("TIFF", mode="F"),
        *(drawn("TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")),
        drawn("BMP", mode="P"),
    ]


ODD_BYTES = st.sampled_from(
    [
        b"\0",
        b"\xff",
        b"\x7f",
        b"\x80",
        b"\xff" * 4,
        bytes(4),
        b"\x7f\xff\xff\xff",
        b"\xff\xff\xff\x7f",
        b"\x80" + bytes(3),
    ]
)
ODD_TEXT = st.sampled_from(
    [b"&a [*a]", b"*a", b"<<: ", b"!!python/object/apply:os.abort []", b"1e999", b".nan", b"-1", b"0x7f", b"---\n",
     b"? ", b"[" * 500, b"{" * 500, b"\t", b"\n", b": ", b"null", b"!!binary ", b"2001-01-01",
     b"9" * 5000, "\u2028".encode()]
)  # fmt: skip
PLACE = st.floats(0, 1, exclude_max=True)


@st.composite
def damaged_files(draw, target):
    """One of the originals with one to eight changes."""
    whole = originals(target)
    content = draw(st.sampled_from(whole))
    odd = ODD_TEXT if target == "params" else ODD_BYTES
    for _ in range(draw(st.integers(1, 8))):
        # in a picture, most of what may go wrong stands in front
        place = draw(PLACE)
        start = int(len(content) * (place**3 if target == "picture" else place))
        length = draw(st.integers(1, 64))
        change = draw(st.sampled_from(["byte", "odd", "remove", "repeat", "insert", "end", "mix"]))
        head, part, tail = content[:start], content[start : start + length], content[start + length :]
        if change == "byte":
            content = head + draw(st.binary(min_size=1, max_size=4)) + content[start + 1 :]
        elif change == "odd":
            value = draw(odd)
            content = head + value + content[start + len(value) :]
        elif change == "remove":
            content = head + tail
        elif change == "repeat":
            content = head + part * draw(st.integers(2, 40)) + tail
        elif change == "insert":
            content = head + draw(odd) + part + tail
        elif change == "end":
            content = head
        else:
            other = draw(st.sampled_from(whole))
            content = head + other[int(len(other) * place) :]
    return content


@pytest.fixture
def worker(request, tmp_path):
    worker = Worker(request.param, tmp_path / "worker")
    yield worker
    worker.stop()


@pytest.mark.parametrize("files", [FEW, pytest.param(FILES, marks=pytest.mark.slow)])
@pytest.mark.parametrize("worker", TARGETS, indirect=True)
def test_a_damaged_file_is_read_or_refused_at_once_and_within_bounds(worker, files, tmp_path):
    count = max(FEW, round(files * SHARES[worker.target]))
    failed = tmp_path / "failed"
    failed.mkdir()
    figures = {"files": 0, "read": 0, "refused": 0, "fault": 0, "seconds": 0.0, "memory": 0}
    complaints = []

    @hypothesis.seed(1)
    @hypothesis.settings(
        max_examples=count, deadline=None, database=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(damaged_files(worker.target))
    def put_to_the_test(content):
        answer = worker(content)
        figures["files"] += 1
        figures[answer["outcome"]] += 1
        for largest in ("seconds", "memory"):
            figures[largest] = max(figures[largest], answer[largest])
        if what := complaint(answer):
            file = failed / f"{worker.target}-{len(complaints)}"
            file.write_bytes(content)
            complaints.append(f"{file}: {what}")

    put_to_the_test()
    figures["seconds"] = round(figures["seconds"], 2)
    figures["memory"] = f"{figures['memory'] / 2**20:.0f} MiB"
    print(f"\n{worker.target}: {json.dumps(figures)}")
    assert complaints == [], f"put what of this is to be mended to {KEPT}"
    assert figures["read"] > 0, "nothing was read, so the files are damaged too much to show anything"
    assert figures["refused"] > 0


@pytest.mark.parametrize("file", sorted(KEPT.glob("*")), ids=lambda file: file.name)
def test_what_once_failed_does_not_fail_again(file, tmp_path):
    worker = Worker(file.name.partition("-")[0], tmp_path / "worker")
    try:
        assert complaint(worker(file.read_bytes())) is None
    finally:
        worker.stop()
