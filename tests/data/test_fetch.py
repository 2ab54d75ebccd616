"""Fetching from a server on this machine that is good, slow, or fails in every way."""

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from psgd_ref.data import entries, fetch
from psgd_ref.data.download import CHUNK, download
from tests.data.archives import TRAIN, small_cifar, small_mnist

# Where a server breaks off: after whole chunks, so that none of it is lost.
CUT = 2 * CHUNK


class Server:
    """Serves `files` on loopback; `behaviour` says how, `requests` what was asked (name, first byte)."""

    def __init__(self, files, behaviour="good"):
        self.files, self.behaviour, self.requests = files, behaviour, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    def answer(self, handler):
        name = handler.path.lstrip("/")
        asked = handler.headers.get("Range")
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        self.requests.append((name, first))
        content = self.files.get(name)
        if content is None or self.behaviour == "missing":
            handler.send_error(404)
            return
        ranged = self.behaviour != "no ranges"
        body = content[first:] if ranged else content
        handler.send_response(206 if ranged and asked else 200)
        if self.behaviour != "no length":
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        sent = {
            "corrupted": bytes([body[0] ^ 1]) + body[1:] if body else body,
            "half": body[: len(body) // 2] if len(body) > 2 * CUT else body,
            "cut": body[:CUT] if first == 0 else b"",
            "no length": body[:-1],
        }.get(self.behaviour, body)
        if self.behaviour == "slow":
            for start in range(0, len(sent), max(len(sent) // 5, 1)):
                handler.wfile.write(sent[start : start + max(len(sent) // 5, 1)])
                time.sleep(0.01)
        elif self.behaviour == "silent":
            handler.wfile.write(sent[:100])
            handler.wfile.flush()
            time.sleep(1)
        else:
            handler.wfile.write(sent)
        handler.close_connection = True


def test_a_good_server_is_asked_once_for_each_file(tmp_path):
    _, files, _ = small_mnist()
    with Server(files) as server:
        source = small_mnist((server.address,))[0]
        place = download(source, tmp_path)
        assert {path.name: path.read_bytes() for path in place.iterdir()} == files
        assert sorted(server.requests) == sorted((name, 0) for name in files)
        download(source, tmp_path)
        assert len(server.requests) == len(files)
    assert source.find(tmp_path) == place
    assert len(source.read(place)[0]) == TRAIN


@pytest.mark.parametrize("behaviour", ["slow", "half", "no ranges"])
def test_a_bad_line_is_waited_for(behaviour, tmp_path):
    _, files, _, _ = small_cifar()
    with Server(files, behaviour) as server:
        source = small_cifar((server.address,))[0]
        place = download(source, tmp_path)
        assert {path.name: path.read_bytes() for path in place.iterdir()} == files
        starts = [first for _, first in server.requests]
    assert (len(starts) > 1) == (behaviour == "half")
    assert starts == sorted(set(starts))


@pytest.mark.parametrize("behaviour", ["good", "no ranges"])
def test_an_interrupted_download_goes_on_or_starts_over(behaviour, tmp_path):
    _, files, _, _ = small_cifar()
    (name, content), *_ = files.items()
    (tmp_path / "cifar10").mkdir()
    part = tmp_path / "cifar10" / f"{name}.part"
    part.write_bytes(content[:1000])
    with Server(files, behaviour) as server:
        place = download(small_cifar((server.address,))[0], tmp_path)
        assert server.requests == [(name, 1000)]
    assert (place / name).read_bytes() == content
    assert not part.exists()


def test_a_wrong_beginning_is_thrown_away_and_fetched_again(tmp_path):
    _, files, _, _ = small_cifar()
    (name, content), *_ = files.items()
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / f"{name}.part").write_bytes(b"<html>" * 50)
    with Server(files) as server:
        place = download(small_cifar((server.address,))[0], tmp_path)
        assert server.requests == [(name, 300), (name, 0)]
    assert (place / name).read_bytes() == content


def test_the_next_mirror_goes_on_where_the_first_broke_off(tmp_path):
    _, files, _, _ = small_cifar()
    (name, content), *_ = files.items()
    with Server(files, "cut") as first, Server(files) as second:
        place = download(small_cifar((first.address, second.address))[0], tmp_path)
        assert first.requests == [(name, 0), (name, CUT)]
        assert second.requests == [(name, CUT)]
    assert (place / name).read_bytes() == content


@pytest.mark.parametrize("behaviour", ["corrupted", "no length"])
def test_a_wrong_checksum_is_refused_and_nothing_stays(behaviour, tmp_path):
    _, files, _, _ = small_cifar()
    with Server(files, behaviour) as server:
        source = small_cifar((server.address,))[0]
        with pytest.raises(ValueError, match=r"cifar-10-binary\.tar\.gz from .* is refused: SHA256") as error:
            download(source, tmp_path)
    assert len(str(error.value).splitlines()) == 1
    assert list((tmp_path / "cifar10").iterdir()) == []


@pytest.mark.parametrize("behaviour", ["missing", "silent", None])
def test_without_an_answer_the_error_says_what_to_put_where(behaviour, tmp_path, monkeypatch):
    monkeypatch.setattr("psgd_ref.data.download.TIMEOUT", (0.2, 0.2))
    _, files, _, _ = small_cifar()
    with contextlib.ExitStack() as stack:
        # Port 9 (discard) is closed: nothing answers there.
        address = (
            stack.enter_context(Server(files, behaviour)).address if behaviour else "http://127.0.0.1:9/"
        )
        with pytest.raises(ConnectionError) as error:
            download(small_cifar((address,))[0], tmp_path)
    message = str(error.value)
    for part in ("cifar10", "cifar-10-binary.tar.gz", "bytes", address, str(tmp_path / "cifar10")):
        assert part in message


def test_a_full_disk_is_not_mistaken_for_the_network(tmp_path, monkeypatch):
    _, files, _, _ = small_cifar()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("psgd_ref.data.download.os.replace", full)
    with Server(files) as server, pytest.raises(OSError, match="No space left"):
        download(small_cifar((server.address,))[0], tmp_path)


def test_built_in_sets_need_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("PSGD_REF_DATA", str(tmp_path / "nothing"))
    assert fetch("digits") is None
    assert not (tmp_path / "nothing").exists()
    states = {entry.name: entry.state for entry in entries()}
    assert states["digits"] == states["moons"] == states["signals"] == "built in"
    assert states["mnist"] == states["cifar100"] == "not fetched"
