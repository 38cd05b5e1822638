"""Faults of servers, mirrors and the cache while published weights are fetched.

A local server answers each case with a fault; every case starts from an empty cache. It
gives the published weights, or is refused and leaves the cache empty.
"""

import contextlib
import os
import shutil
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.bad_input_harness import RIGHT, UNCHECKED, WRONG, Case

SMALL = {"embed_dim": 32, "depth": 1, "num_heads": 2, "mlp_ratio": 2.0}
SIDE, CLASSES = 64, 10
TIMEOUT, SECONDS, BYTES = 1, 3, 4 << 20  # the package's limits, for these cases


def cases(fraction):
    step = max(1, round(1 / fraction))
    return [Case(kind, name) for kind, name in list(CASES)[::step]]


def prepare(folder):
    import keras_t2t

    model = build()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    keras_t2t.save_official(model, folder / "published.pth")


def build(**arguments):
    import keras_t2t

    return keras_t2t.T2TViT(
        **SMALL, input_shape=(SIDE, SIDE, 3), classes=CLASSES, **arguments
    )


def start(folder):
    import keras_t2t
    from keras_t2t.checkpoints import download, published_file, registry
    from keras_t2t.variants import VARIANTS

    download.TIMEOUT, download.SECONDS, download.BYTES = TIMEOUT, SECONDS, BYTES
    row = registry.PUBLISHED[0]._replace(variant="Small", size=SIDE, classes=CLASSES)
    VARIANTS["Small"] = VARIANTS["T2TViT7"]._replace(**SMALL)
    body = (folder / "published.pth").read_bytes()
    cache = folder / "home" / "models" / "keras_t2t"
    os.environ["KERAS_HOME"] = str(folder / "home")
    model = build()
    keras_t2t.load_checkpoint(model, folder / "published.pth")
    expected = [np.array(weight.numpy()) for weight in model.weights]

    def weights():
        return [np.array(w.numpy()) for w in build(weights="imagenet").weights]

    def attempt(case):
        shutil.rmtree(folder / "home", ignore_errors=True)
        registry.PUBLISHED = (row,)
        with serving(body) as server:
            os.environ[published_file.MIRROR] = (
                f"http://127.0.0.1:{server.port}/release"
            )
            place = Place(
                folder, cache, server, body, row, registry, published_file, weights
            )
            outcome = CASES[case.kind, case.name](place)
            try:
                got = weights()
            except Exception:
                if leftovers(cache) and outcome != "keep":
                    return WRONG
                if outcome == "right":
                    return WRONG
                raise
        if all(map(np.array_equal, got, expected)):
            return RIGHT
        return UNCHECKED if outcome == "unchecked" else WRONG

    return attempt


def leftovers(cache):
    return [path for path in cache.rglob("*") if path.is_file()]


class Place(NamedTuple):
    """What a case may change before the weights are asked for."""

    folder: object
    cache: object
    server: object
    body: bytes
    row: object
    registry: object
    published_file: object
    weights: Callable

    def mirror(self, value):
        os.environ[self.published_file.MIRROR] = str(value)

    def hashed(self, sha256):
        self.registry.PUBLISHED = (self.row._replace(checksum=sha256),)


# === The server: one function per fault, of the connection and the body ===
class Server:
    def __init__(self, body):
        self.answer = lambda connection: connection.sendall(response(body))
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.open = True
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while self.open:
            with contextlib.suppress(OSError):
                connection, _ = self.socket.accept()
                threading.Thread(
                    target=self.handle, args=(connection,), daemon=True
                ).start()

    def handle(self, connection):
        with contextlib.suppress(OSError), connection:
            connection.recv(65536)
            self.answer(connection)


@contextlib.contextmanager
def serving(body):
    server = Server(body)
    try:
        yield server
    finally:
        server.open = False
        server.socket.shutdown(socket.SHUT_RDWR)
        server.socket.close()


def response(body, status="200 OK", length=None, more=()):
    length = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {length}", *more]
    return "\r\n".join(["Connection: close", *lines][1:]).encode() + b"\r\n\r\n" + body


CASES = {}  # (kind, name): function of a Place; what it expects, None if refused


def case(kind, name):
    def add(function):
        CASES[kind, name] = function
        return function

    return add


def answers(kind, name, make, expected=None):
    """A case in which the server sends what `make` gives for the body."""

    def prepare(place):
        data = make(place.body)
        place.server.answer = lambda connection: connection.sendall(data)
        return expected

    CASES[kind, name] = prepare


for status in (
    "204 No Content",
    "206 Partial Content",
    "304 Not Modified",
    "400 Bad Request",
    "401 Unauthorized",
    "403 Forbidden",
    "404 Not Found",
    "410 Gone",
    "418 I'm a teapot",
    "429 Too Many Requests",
    "500 Internal Server Error",
    "503 Service Unavailable",
    "999 Odd",
    "abc",
):
    # What is sent along is not the file.
    answers(
        "status", status, lambda body, status=status: response(b"<html>", status=status)
    )

for code in (301, 302, 307, 308):
    for name, to in {
        "itself": "/release",
        "a file": "file:///etc/passwd",
        "nothing": "",
        "nobody": "http://127.0.0.1:1/x",
    }.items():
        answers(
            "redirect",
            f"{code} to {name}",
            lambda body, code=code, to=to: response(
                b"", f"{code} Moved", more=[f"Location: {to}"]
            ),
        )

for name, length in {
    "-5": "-5",
    "many": "many",
    "1e3": "1e3",
    "30 digits": "9" * 30,
    "empty": "",
    "5 GB": str(5 << 30),
}.items():
    answers("length", name, lambda body, length=length: response(body, length=length))
for name, more in {"1,000 too few": -1000, "1,000 too many": 1000}.items():
    answers(
        "length", name, lambda body, more=more: response(body, length=len(body) + more)
    )
answers("length", "zero", lambda body: response(body, length=0))
answers("length", "none told", lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body, "right")
answers(
    "length",
    "none told, and cut",
    lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + body[:50_000],
)
answers("length", "a body of 5 MB", lambda body: response(bytes(5 << 20)))
answers(
    "length",
    "none told, 5 MB",
    lambda body: b"HTTP/1.0 200 OK\r\n\r\n" + bytes(5 << 20),
)
answers(
    "chunks",
    "whole",
    lambda body: chunked([b"%x\r\n%s\r\n" % (len(body), body), b"0\r\n\r\n"]),
    "right",
)
answers("chunks", "cut", lambda body: chunked([b"%x\r\n%s" % (len(body), body[:999])]))
answers("chunks", "no number", lambda body: chunked([b"zz\r\n" + body]))
answers("chunks", "without an end", lambda body: chunked([b"5\r\nhello\r\n"]))


def chunked(parts):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(parts)


for name, data in {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.0\r\n",
    "zeros": bytes(1000),
    "half a header": b"HTTP/1.1 200 OK\r\nContent-Le",
    "1,000 headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    "a header of 100,000 bytes": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    "bytes that are no text": b"HTTP/1.1 200 \xff\xfe\r\n\xff: \xff\r\n\r\n",
}.items():
    answers("protocol", name, lambda body, data=data: data)

for name, data in {
    "nothing": b"",
    "a web page": b"<!DOCTYPE html><html>please sign in</html>",
    "zeros": bytes(100_000),
    "a pickle that runs code": b"\x80\x02cposix\nsystem\nX\x12\x00\x00\x00"
    b"touch code-was-run\x85R.",
}.items():
    answers("body", name, lambda body, data=data: response(data))
answers("body", "half of it", lambda body: response(body[: len(body) // 2]))
answers("body", "one byte too few", lambda body: response(body[:-1]))
answers(
    "body",
    "compressed",
    lambda body: response(zlib.compress(body), more=["Content-Encoding: deflate"]),
)
for place_of in (3, 5, 7):

    @case("body", f"a bit changed at {place_of} tenths")
    def changed(place, place_of=place_of):
        data = bytearray(place.body)
        data[len(data) * place_of // 10] ^= 1
        place.server.answer = lambda connection: connection.sendall(response(data))


@case("time", "no answer")
def no_answer(place):
    place.server.answer = lambda connection: time.sleep(10)


@case("time", "stops half way")
def stalls(place):
    def answer(connection):
        connection.sendall(response(place.body)[: len(place.body) // 2])
        time.sleep(10)

    place.server.answer = answer


@case("time", "a byte now and then")
def slow_body(place):
    def answer(connection):
        data = response(place.body)
        connection.sendall(data[:500])
        for byte in data[500:]:
            connection.sendall(bytes([byte]))
            time.sleep(0.2)

    place.server.answer = answer


@case("time", "a header line now and then")
def slow_headers(place):
    def answer(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        for number in range(90):
            connection.sendall(b"X-%d: y\r\n" % number)
            time.sleep(0.5)

    place.server.answer = answer


@case("time", "hangs up at once")
def hangs_up(place):
    def answer(connection):
        linger = struct.pack("ii", 1, 0)  # a reset, not an end
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    place.server.answer = answer


@case("time", "nobody listens")
def nobody(place):
    place.mirror("http://127.0.0.1:1/")


for url in (
    "htp://x/",
    "file:///etc/",
    "ftp://127.0.0.1/",
    "http://",
    "http://x:y/",
    "http://a b/",
    "http://\u00f6/",
    "http://x\n/",
    "http://[/",
    "http://127.0.0.1:99999/",
    "https://127.0.0.1:1/",
    "http://does-not-exist.invalid/",
    "://",
):

    @case("address", repr(url))
    def address(place, url=url):
        place.mirror(url)


@case("address", "plain HTTP behind https")
def no_tls(place):
    place.mirror(f"https://127.0.0.1:{place.server.port}/release")


# === Folders as mirror, and the cache ===
@case("mirror", "a folder that is not there")
def no_folder(place):
    place.mirror(place.folder / "gone")


@case("mirror", "a file")
def a_file(place):
    place.mirror(place.folder / "published.pth")


@case("mirror", "a folder without the file")
def empty_folder(place):
    (place.folder / "mirror-empty").mkdir(exist_ok=True)
    place.mirror(place.folder / "mirror-empty")


def mirrored(place, data):
    folder = place.folder / "mirror"
    folder.mkdir(exist_ok=True)
    (folder / place.row.file).write_bytes(data)
    place.mirror(folder)


@case("mirror", "a folder with the file")
def whole(place):
    mirrored(place, place.body)
    return "right"


@case("mirror", "a folder with half the file")
def half(place):
    mirrored(place, place.body[: len(place.body) // 2])


@case("mirror", "a folder with an empty file")
def empty(place):
    mirrored(place, b"")


@case("hash", "another than published")
def other_hash(place):
    place.hashed("0" * 64)


@case("hash", "another than published, in a folder")
def other_hash_in_folder(place):
    mirrored(place, place.body)
    place.hashed("0" * 64)


@case("hash", "the published one")
def right_hash(place):
    import hashlib

    place.hashed(hashlib.sha256(place.body).hexdigest())
    return "right"


@case("hash", "none known, another file of the same shapes")
def same_shapes(place):
    import keras_t2t

    path = place.folder / "other.pth"
    keras_t2t.save_official(build(), path)
    data = path.read_bytes()
    place.server.answer = lambda connection: connection.sendall(response(data))
    return "unchecked"


def cached(place):
    """The converted file after a good download."""
    place.weights()
    (path,) = place.cache.glob("*.h5")
    return path


@case("cache", "whole; the server is gone")
def cache_alone(place):
    cached(place)
    place.mirror("http://127.0.0.1:1/")
    return "right"


for name, change in {
    "cut": lambda data: data[:-1],
    "empty": lambda data: b"",
    "a bit changed": lambda data: data[:-999] + bytes([data[-999] ^ 1]) + data[-998:],
}.items():

    @case("cache", name)
    def damaged_cache(place, change=change):
        path = cached(place)
        path.write_bytes(change(path.read_bytes()))
        return "keep"


@case("cache", "its record is missing")
def no_record(place):
    path = cached(place)
    path.with_name(f"{path.name}.sha256").unlink()
    return "right"


@case("cache", "its record is empty")
def empty_record(place):
    path = cached(place)
    path.with_name(f"{path.name}.sha256").write_text("")
    return "keep"


@case("cache", "its record is no text")
def binary_record(place):
    path = cached(place)
    path.with_name(f"{path.name}.sha256").write_bytes(b"\xff\xfe")
    return "keep"


@case("cache", "a folder has its name")
def folder_there(place):
    path = cached(place)
    path.unlink()
    path.mkdir()
    return "keep"


@case("cache", "a file has its folder's name")
def file_there(place):
    place.cache.parent.mkdir(parents=True)
    place.cache.write_text("")
    return "keep"


@case("cache", "a link to nothing has its name")
def link_there(place):
    path = cached(place)
    path.unlink()
    path.symlink_to(place.folder / "gone")
    return "right"
