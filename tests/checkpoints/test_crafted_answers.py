"""What servers and caches can do while published weights are fetched: the weights come,
or one line of ours, and nothing is kept."""

import shutil
import socket
import struct
import time
import zlib

import pytest

from benchmarks import fuzz_surfaces
from benchmarks.fuzz import is_clear
from keras_t2t.checkpoints import download, published_file, registry
from keras_t2t.variants import VARIANTS
from tests.checkpoints.helpers import response


@pytest.fixture
def restored(tmp_path, monkeypatch):
    """What `fuzz_surfaces.published` changes is changed back."""
    monkeypatch.setattr(registry, "PUBLISHED", registry.PUBLISHED)
    monkeypatch.setitem(VARIANTS, "Small", VARIANTS["T2TViT7"])
    for name in ("TIMEOUT", "SECONDS"):
        monkeypatch.setattr(download, name, getattr(download, name))
    monkeypatch.setenv(published_file.MIRROR, "")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def fetching(restored, tmp_path):
    """(bytes of the release, function of an answer that fetches it); the function fails
    if anything is kept of what is refused."""
    file, fetch_from = fuzz_surfaces.fetching(tmp_path)
    return file.read_bytes(), fetch_from


def assert_refused(function, *arguments):
    with pytest.raises((ValueError, OSError)) as caught:
        function(*arguments)
    assert is_clear(caught.value), caught.value


def chunked(*parts):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(parts)


def moved(status, to):
    return lambda body: response(b"", status, f"Location: {to}")


REFUSED = {
    **{
        status: lambda body, status=status: response(b"<html>", status)
        for status in (
            *("204 No Content", "206 Partial Content", "304 Not Modified"),
            *("401 Unauthorized", "500 Internal Server Error", "999 Odd", "abc"),
        )
    },
    "moved to itself": moved("301 Moved", "/release"),
    "moved to a file": moved("302 Found", "file:///etc/passwd"),
    "moved to nothing": moved("307 Moved", ""),
    "moved to nobody": moved("308 Moved", "http://127.0.0.1:1/x"),
    "a cut chunk": lambda body: chunked(b"%x\r\n%s" % (len(body), body[:999])),
    "a chunk without a number": lambda body: chunked(b"zz\r\n" + body),
    "chunks without an end": lambda body: chunked(b"5\r\nhello\r\n"),
    "nothing": lambda body: b"",
    "no HTTP": lambda body: b"SSH-2.0-OpenSSH_9.0\r\n",
    "half a header": lambda body: b"HTTP/1.1 200 OK\r\nContent-Le",
    "1,000 headers": lambda body: b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    "a long header": lambda body: b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    "no text": lambda body: b"HTTP/1.1 200 \xff\xfe\r\n\xff: \xff\r\n\r\n",
    "a web page": lambda body: response(b"<html>please sign in</html>"),
    "a pickle that runs code": lambda body: response(
        b"\x80\x02cposix\nsystem\nX\x12\x00\x00\x00touch code-was-run\x85R."
    ),
    "compressed": lambda body: response(
        zlib.compress(body), "200 OK", "Content-Encoding: deflate"
    ),
    "half of it": lambda body: response(body[: len(body) // 2]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_answers_that_are_refused(case, fetching, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, fetch_from = fetching
    data = REFUSED[case](content)
    assert_refused(fetch_from, lambda connection: connection.sendall(data))
    assert not (tmp_path / "code-was-run").exists()


def test_a_whole_chunk_is_the_file(fetching):
    content, fetch_from = fetching
    data = chunked(b"%x\r\n%s\r\n" % (len(content), content), b"0\r\n\r\n")
    assert fetch_from(lambda connection: connection.sendall(data))


def no_answer(connection, data):
    time.sleep(4)


def stops_half_way(connection, data):
    connection.sendall(data[: len(data) // 2])
    time.sleep(4)


def a_byte_now_and_then(connection, data):
    for byte in data:
        connection.sendall(bytes([byte]))
        time.sleep(0.2)


def hangs_up(connection, data):
    linger = struct.pack("ii", 1, 0)  # a reset, not an end
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "how", [no_answer, stops_half_way, a_byte_now_and_then, hangs_up]
)
def test_answers_that_take_for_ever(how, fetching):
    content, fetch_from = fetching
    data, begin = response(content), time.monotonic()
    assert_refused(fetch_from, lambda connection: how(connection, data))
    assert time.monotonic() - begin < 10


def test_a_folder_or_link_in_the_place_of_the_cache(restored, tmp_path, monkeypatch):
    _, cache, fetch = fuzz_surfaces.published(tmp_path)
    monkeypatch.setenv(published_file.MIRROR, str(tmp_path))
    expected = fetch()
    (path,) = cache.glob("*.h5")
    path.unlink()
    path.symlink_to("gone")
    assert fetch() == expected
    path.unlink()
    path.mkdir()
    assert_refused(fetch)
    shutil.rmtree(cache)
    cache.write_text("")
    assert_refused(fetch)
