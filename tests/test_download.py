import hashlib
import io
import random
import socket
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from stages.lib.core.errors import UserError
from stages.sources import stanford_dogs, stanford_dogs_archive
from stages.sources.download import download

CONTENT = random.Random(1).randbytes(400_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


class Server(ThreadingHTTPServer):
    """Serves `content` by the function `answer`, and notes the Range header (or None) of every request."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.answer = whole
        self.ranges = []
        self.released = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/images.tar"

    def handle_error(self, request, client_address):
        """Stay quiet where the client hangs up first."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.ranges.append(self.headers["Range"])
        self.server.answer(self)

    def log_message(self, *_):
        pass

    def reply(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    @property
    def start(self):
        return int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))


def whole(handler):
    content = handler.server.content
    handler.reply(200, content, Content_Length=len(content))


def ranged(handler, until=None):
    content, start = handler.server.content, handler.start
    handler.reply(
        206 if start else 200,
        content[start:until],
        Content_Length=len(content) - start,
        **({"Content_Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}),
    )


def status(code):
    return lambda handler: handler.reply(code, b"<html>no</html>")


def in_turn(*answers):
    """Answer the first request by the first, and so on; the last one answers all that follow."""

    def answer(handler):
        answers[min(len(handler.server.ranges), len(answers)) - 1](handler)

    return answer


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "data" / "images.tar"


def fetch(server, destination, **changes):
    options = {"size": len(CONTENT), "sha256": SHA256, "timeout": (5, 5), "attempts": 3, "pause": 0.01}
    download(server.url, destination, **options | changes)


def keep(destination, content):
    destination.parent.mkdir(exist_ok=True)
    partial = destination.with_name("images.tar.partial")
    partial.write_bytes(content)
    return partial


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_whole_file_is_downloaded_and_nothing_else_is_left(server, destination, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fetch(server, destination)
    assert files(destination.parent) == {"images.tar": CONTENT}
    assert server.ranges == [None]
    assert "images.tar: 100%" in capsys.readouterr().err


def test_partial_file_is_resumed_from_its_end(server, destination, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    keep(destination, CONTENT[:HALF])
    server.answer = ranged
    fetch(server, destination)
    assert files(destination.parent) == {"images.tar": CONTENT}
    assert server.ranges == [f"bytes={HALF}-"]
    bar = capsys.readouterr().err
    assert "images.tar:  50%" in bar
    assert "images.tar: 100%" in bar


def test_bytes_are_asked_for_as_they_are_and_not_compressed(server, destination):
    server.answer = lambda handler: (whole if handler.headers["Accept-Encoding"] == "identity" else status(406))(
        handler
    )
    fetch(server, destination)
    assert files(destination.parent) == {"images.tar": CONTENT}


def test_server_that_ignores_ranges_starts_the_file_again(server, destination):
    keep(destination, b"x" * HALF)  # would spoil the hash if it were kept
    fetch(server, destination)
    assert files(destination.parent) == {"images.tar": CONTENT}
    assert server.ranges == [f"bytes={HALF}-"]


def test_connection_that_breaks_goes_on_where_it_broke(server, destination, capsys):
    server.answer = in_turn(lambda handler: ranged(handler, until=HALF), ranged)
    fetch(server, destination)
    assert files(destination.parent) == {"images.tar": CONTENT}
    first, second = server.ranges
    assert first is None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= HALF
    assert "going on from byte" in capsys.readouterr().err


def test_more_breaks_than_attempts_are_fine_while_there_is_progress(server, destination):
    step = len(CONTENT) // 5
    server.answer = lambda handler: ranged(handler, until=handler.start + step)
    fetch(server, destination, attempts=2)
    assert files(destination.parent) == {"images.tar": CONTENT}
    assert len(server.ranges) > 4


def test_breaks_at_the_same_byte_end_after_the_attempts_and_keep_what_came(server, destination):
    server.answer = lambda handler: ranged(handler, until=HALF)
    with pytest.raises(UserError, match="without progress"):
        fetch(server, destination)
    kept = files(destination.parent)["images.tar.partial"]
    assert 0 < len(kept) <= HALF
    assert CONTENT.startswith(kept)


def test_breaks_of_a_server_that_ignores_ranges_come_to_an_end(server, destination):
    server.answer = lambda handler: handler.reply(200, CONTENT[:HALF], Content_Length=len(CONTENT))
    with pytest.raises(UserError, match="without progress"):
        fetch(server, destination)
    assert len(server.ranges) == 4  # the first got somewhere, three got no further


def test_breaks_that_only_make_up_for_lost_ground_are_no_progress(server, destination):
    def breaking_at(end):
        return lambda handler: handler.reply(200, CONTENT[:end], Content_Length=len(CONTENT))

    half, quarter = breaking_at(HALF), breaking_at(HALF // 2)
    server.answer = in_turn(half, quarter, half, quarter, whole)
    with pytest.raises(UserError, match="without progress"):
        fetch(server, destination)


def test_body_of_unknown_length_that_ends_early_is_asked_for_again(server, destination):
    server.answer = in_turn(lambda handler: handler.reply(200, CONTENT[:HALF]), ranged)
    fetch(server, destination)
    assert files(destination.parent) == {"images.tar": CONTENT}


def test_stalled_server_is_given_up_after_the_timeout(server, destination):
    def stall(handler):
        handler.reply(200, CONTENT[:HALF], Content_Length=len(CONTENT))
        handler.server.released.wait(10)

    server.answer = stall
    with pytest.raises(UserError, match="timed out"):
        fetch(server, destination, timeout=(5, 0.1), attempts=1)


def test_redirect_is_followed(server, destination):
    server.answer = in_turn(lambda handler: handler.reply(302, Location="/elsewhere.tar"), ranged)
    fetch(server, destination)
    assert files(destination.parent) == {"images.tar": CONTENT}


def test_redirects_without_end_are_told(server, destination):
    server.answer = lambda handler: handler.reply(302, Location="/again")
    with pytest.raises(UserError, match=r"Exceeded 30 redirects.*\n.*Nothing of it is here.*\n.*Without a network"):
        fetch(server, destination, attempts=1)
    assert not destination.exists()


@pytest.mark.parametrize("location", ["file:///etc/hostname", "ftp://127.0.0.1/images.tar", "http://"])
def test_redirect_to_what_is_no_web_address_is_told(server, destination, location):
    server.answer = lambda handler: handler.reply(302, Location=location)
    with pytest.raises(UserError, match=r"cannot download .*\n.*Nothing of it is here.*\n.*Without a network"):
        fetch(server, destination, attempts=1)
    assert not destination.exists()


def test_headers_that_never_come_are_given_up_after_the_timeout(server, destination):
    server.answer = lambda handler: handler.server.released.wait(10)
    with pytest.raises(UserError, match=r"timed out.*\n.*Nothing of it is here"):
        fetch(server, destination, timeout=(5, 0.1), attempts=1)


@pytest.mark.parametrize("code", [404, 403, 416, 204])
def test_refusal_is_told_at_once_with_what_is_kept_and_the_offline_way(server, destination, code):
    partial = keep(destination, CONTENT[:HALF])
    server.answer = status(code)
    with pytest.raises(UserError) as caught:
        fetch(server, destination)
    for part in (server.url, f"answered {code}", f"{HALF:,} of {len(CONTENT):,} bytes are kept", f"at {partial}"):
        assert part in str(caught.value)
    assert files(destination.parent) == {"images.tar.partial": CONTENT[:HALF]}
    assert len(server.ranges) == 1


@pytest.mark.parametrize("code", [500, 503, 429])
def test_passing_trouble_of_the_server_is_retried(server, destination, code):
    server.answer = in_turn(status(code), whole)
    fetch(server, destination)
    assert files(destination.parent) == {"images.tar": CONTENT}


def test_lasting_trouble_of_the_server_is_told(server, destination):
    server.answer = status(500)
    with pytest.raises(UserError, match=r"answered 500 Internal Server Error \(3 attempts.*\n.*Nothing of it is here"):
        fetch(server, destination)
    assert len(server.ranges) == 3


def test_refused_connection_is_told(destination):
    with socket.socket() as bound:  # bound and not listening: connections are refused, and nobody else takes the port
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(UserError, match="refused"):
            download(f"http://127.0.0.1:{bound.getsockname()[1]}/", destination, size=1, sha256="", pause=0.01)


def test_unknown_host_is_told(server, destination, monkeypatch):
    def unknown(*_args, **_kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UserError, match="Name or service not known"):
        fetch(server, destination)


def test_file_of_another_length_is_refused_before_it_spoils_what_is_kept(server, destination):
    keep(destination, CONTENT[:HALF])
    server.answer = lambda handler: handler.reply(200, b"<html>log in</html>", Content_Length=19)
    with pytest.raises(UserError, match="of 19 bytes where 400000 are expected"):
        fetch(server, destination)
    assert files(destination.parent) == {"images.tar.partial": CONTENT[:HALF]}


@pytest.mark.parametrize("content_range", [f"bytes 0-399999/{len(CONTENT)}", f"bytes {HALF}-499999/500000", "", "junk"])
def test_other_range_than_asked_for_is_refused(server, destination, content_range):
    keep(destination, CONTENT[:HALF])
    server.answer = lambda handler: handler.reply(206, CONTENT[HALF:], Content_Range=content_range)
    with pytest.raises(UserError, match="Content-Range"):
        fetch(server, destination)
    assert files(destination.parent) == {"images.tar.partial": CONTENT[:HALF]}


def test_server_that_sends_too_much_is_stopped_at_the_size(server, destination):
    hung_up = threading.Event()

    def flood(handler):
        handler.reply(200, CONTENT)
        try:
            for _ in range(50):
                handler.wfile.write(bytes(1_000_000))
        except OSError:
            hung_up.set()

    server.answer = flood
    fetch(server, destination)
    assert files(destination.parent) == {"images.tar": CONTENT}
    assert hung_up.wait(5)


def test_wrong_hash_removes_the_file_and_leaves_the_destination_as_it_was(server, destination):
    destination.parent.mkdir()
    destination.write_bytes(b"before")
    server.content = CONTENT[::-1]
    with pytest.raises(UserError, match=f"removed.*\n.*{SHA256}"):
        fetch(server, destination)
    assert files(destination.parent) == {"images.tar": b"before"}


def test_partial_file_that_is_too_large_is_removed_and_said_so(server, destination, capsys):
    keep(destination, CONTENT + b"x")
    fetch(server, destination)
    assert files(destination.parent) == {"images.tar": CONTENT}
    assert server.ranges == [None]
    assert "400,001 bytes, more than the 400,000 expected: removed" in capsys.readouterr().err


def test_complete_partial_file_is_used_without_a_request(server, destination):
    keep(destination, CONTENT)
    fetch(server, destination)
    assert files(destination.parent) == {"images.tar": CONTENT}
    assert server.ranges == []


def test_right_destination_is_left_as_it_is(server, destination):
    fetch(server, destination)
    fetch(server, destination)
    assert server.ranges == [None]


def test_full_disk_is_told(server, destination, monkeypatch):
    def full(_file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stages.sources.download.os.fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        fetch(server, destination)


def test_stages_make_the_breeds_from_the_server(server, tmp_path, monkeypatch):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("Images/n02096177-cairn/n02096177_1.jpg", "Images/n02111889-Samoyed/n02111889_1.jpg"):
            member = tarfile.TarInfo(name)
            member.size = 3
            tar.addfile(member, io.BytesIO(b"dog"))
    server.content = buffer.getvalue()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stanford_dogs_archive, "URL", server.url)
    monkeypatch.setattr(stanford_dogs_archive, "SIZE", len(server.content))
    monkeypatch.setattr(stanford_dogs_archive, "SHA256", hashlib.sha256(server.content).hexdigest())
    params = SimpleNamespace(data=SimpleNamespace(stanford_dogs_breeds=["Cairn"]))
    monkeypatch.setattr(stanford_dogs, "load_params", lambda: params)
    monkeypatch.setattr(sys, "argv", ["stanford_dogs"])

    stanford_dogs_archive.main()
    stanford_dogs.main()

    made = sorted(path.as_posix() for path in Path("data").rglob("*") if path.is_file())
    assert made == ["data/stanford_dogs.tar", "data/stanford_dogs/cairn/n02096177_1.jpg"]
