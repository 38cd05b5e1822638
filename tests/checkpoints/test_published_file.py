"""`weights="imagenet"` against a local server and a cache, with their faults: the
weights come, or one line of ours, and nothing is kept."""

import contextlib
import functools
import shutil
import socket
import struct
import sys
import threading
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t._ground.normalizations import CIFAR_MEAN, CIFAR_STD
from keras_t2t.checkpoints import download, published_file, registry
from keras_t2t.checkpoints.download import digest_of
from keras_t2t.checkpoints.standardization import standardization_of
from keras_t2t.variants import VARIANTS
from tests.checkpoints import helpers

# Smaller than the released one, under the name that it has in the registry.
ROW = registry.PUBLISHED[0]._replace(variant="Small", size=64, classes=10)
SMALL = VARIANTS["T2TViT7"]._replace(**helpers.SMALL)


def response(body, status="200 OK", *headers, length=True):
    """A server's answer. `length` is announced: True for the body's, None for none."""
    head = [f"HTTP/1.1 {status}", *headers]
    if length is not None:
        head.append(f"Content-Length: {len(body) if length is True else length}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


@pytest.fixture(scope="module")
def oracle():
    return helpers.random_oracle()


@pytest.fixture(scope="module")
def original(oracle, tmp_path_factory):
    return helpers.save(oracle, tmp_path_factory.mktemp("release") / ROW.file)


@pytest.fixture
def server(original):
    """What it answers, whatever is asked, and how, and how often it was."""
    server = SimpleNamespace(answer=response(original.read_bytes()), requests=0)
    server.send = socket.socket.sendall
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server.port = listening.getsockname()[1]

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with contextlib.suppress(OSError), connection:
                        connection.recv(65536)
                        server.requests += 1
                        server.send(connection, server.answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server
        listening.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Points the package at an empty cache, and at `ROW` and its variant."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(registry, "PUBLISHED", (ROW,))
    monkeypatch.setitem(VARIANTS, "Small", SMALL)
    return tmp_path / "models" / "keras_t2t"


@pytest.fixture
def mirror(server, cache, monkeypatch):
    url = f"http://127.0.0.1:{server.port}/release/"
    monkeypatch.setenv(published_file.MIRROR, url)
    return url


CONVERTED = "71.7_T2T_ViT_7.weights.h5"


def build(**kwargs):
    return helpers.build(weights="imagenet", **kwargs)


def files(folder):
    """Everything below `folder`, hidden and temporary files too."""
    return [path.name for path in folder.rglob("*")]


def test_it_is_fetched_and_converted_once(mirror, server, cache, oracle, capsys):
    helpers.assert_holds(build(), oracle)
    assert files(cache) == [CONVERTED]
    assert f"Downloading {mirror}{ROW.file}\n" in capsys.readouterr().out
    helpers.assert_holds(build(), oracle)
    assert server.requests == 1


def test_a_name_and_a_path_give_the_same_model(mirror, original):
    """2 x 8 tokens are as many as the 4 x 4 of the weights."""
    by_path = helpers.build(weights=original, size=(32, 128))
    helpers.assert_equal_weights(build(size=(32, 128)), by_path)


@pytest.mark.every_backend
@pytest.mark.skipif(keras.backend.backend() == "torch", reason="Keras runs on torch")
@pytest.mark.parametrize("missing", ["torch", "safetensors"])
def test_neither_torch_nor_safetensors_is_needed(missing, mirror, oracle, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    model, again = build(), build()
    monkeypatch.undo()
    helpers.assert_holds(model, oracle)
    helpers.assert_holds(again, oracle)


def test_a_half_precision_policy_does_not_reach_the_cache(cache, tmp_path, monkeypatch):
    transformer = functools.partial(helpers.build, token_type="transformer")
    keras_t2t.save_official(saved := transformer(), tmp_path / ROW.file)
    monkeypatch.setenv(published_file.MIRROR, str(tmp_path))
    row = SMALL._replace(token_type="transformer")
    monkeypatch.setitem(VARIANTS, "Small", row)
    keras.config.set_dtype_policy("bfloat16")
    try:
        transformer(weights="imagenet")
        assert keras.config.dtype_policy().name == "bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    helpers.assert_equal_weights(saved, transformer(weights="imagenet"))


def test_preprocessing_follows_the_weights(mirror, monkeypatch):
    row = ROW._replace(mean=CIFAR_MEAN, std=CIFAR_STD)
    monkeypatch.setattr(registry, "PUBLISHED", (row,))
    told = standardization_of(build(include_preprocessing=True))
    np.testing.assert_allclose(told, (CIFAR_MEAN, CIFAR_STD), rtol=1e-5)


def assert_none_comes(cache, error=(ValueError, OSError), message=None):
    helpers.refusal(build, error=error, match=message)
    assert files(cache) == []


STATUSES = (
    *("204 No Content", "206 Partial Content", "304 Not Modified"),
    *("401 Unauthorized", "500 Internal Server Error", "999 Odd", "abc"),
)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SOME = b"x" * 5000
REFUSED = {
    **{status: response(b"<html>", status) for status in STATUSES},
    "moved to itself": response(b"", "301 Moved", "Location: /release"),
    "moved to a file": response(b"", "302 Found", "Location: file:///etc/passwd"),
    "moved to nothing": response(b"", "307 Moved", "Location: "),
    "moved to nobody": response(b"", "308 Moved", "Location: http://127.0.0.1:1/x"),
    "a cut chunk": CHUNKED + b"9999\r\nhello",
    "nothing": b"",
    "half a header": b"HTTP/1.1 200 OK\r\nContent-Le",
    "1,000 headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    "no text": b"HTTP/1.1 200 \xff\xfe\r\n\xff: \xff\r\n\r\n",
    "404": response(b"", "404 Not Found"),
    "no checkpoint": response(SOME),
    "too long": response(SOME, length=10**30),
    "cut off": response(SOME, length=10**9),
}
TOLD = {
    "404": (FileNotFoundError, "not exist"),
    "no checkpoint": (ValueError, "does not load: .* damaged"),
    "too long": (ConnectionError, "more than"),
    "cut off": (ConnectionError, "was cut off"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_answers_that_are_refused(case, mirror, server, cache):
    server.answer = REFUSED[case]
    assert_none_comes(cache, *TOLD.get(case, ()))


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
def test_answers_that_take_for_ever(how, mirror, server, cache, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 1)
    monkeypatch.setattr(download, "SECONDS", 3)
    server.send, begin = how, time.monotonic()
    assert_none_comes(cache)
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("length", [None, "-5", "many", "1e3"])
def test_a_length_need_not_be_announced(length, mirror, server, original, oracle):
    server.answer = response(original.read_bytes(), length=length)
    helpers.assert_holds(build(), oracle)


@pytest.mark.parametrize("length", [True, None])
@pytest.mark.parametrize(("name", "limit"), [("BYTES", 100_000), ("SECONDS", -1)])
def test_files_beyond_the_limits(
    name, limit, length, mirror, server, cache, original, monkeypatch
):
    monkeypatch.setattr(download, name, limit)
    server.answer = response(original.read_bytes(), length=length)
    assert_none_comes(cache, ConnectionError, str(limit))


ADDRESSES = ["htp://x/", "file:///etc/", "http://", "http://x:y/", "http://a b/"]
ADDRESSES += ["http://ö/", "http://x\n/", "http://[/"]


@pytest.mark.parametrize(
    ("mirror", "error", "message"),
    [
        *((address, ValueError, "is no address to download") for address in ADDRESSES),
        (".", FileNotFoundError, r"71\.7_T2T_ViT_7\.pth\.tar does not"),
        ("http://127.0.0.1:1/", ConnectionError, "is there a network"),
    ],
)
def test_mirrors_without_the_file(mirror, error, message, cache, monkeypatch):
    monkeypatch.setenv(published_file.MIRROR, mirror)
    assert_none_comes(cache, error, message)


def test_the_checksum_of_the_original(mirror, cache, original, monkeypatch, caplog):
    def build_with(checksum):
        row = ROW._replace(checksum=checksum)
        monkeypatch.setattr(registry, "PUBLISHED", (row,))
        build()

    for place in (mirror, str(original.parent)):
        monkeypatch.setenv(published_file.MIRROR, place)
        helpers.refusal(build_with, "0" * 64, match="has the SHA-256 .*, expected 000")
        assert files(cache) == []
    for known in (digest_of(original), digest_of(original, "sha384"), None):
        build_with(known)
        build()  # from the cache
        (cache / CONVERTED).unlink()
    messages = [record.getMessage() for record in caplog.records]
    (told,) = (line for line in messages if "no checksum of the published" in line)
    assert digest_of(original) in told


def test_another_file_under_a_known_name(original, tmp_path, monkeypatch):
    """T2T-ViT-14's checksum is public; a mirror's own file is refused."""
    row = registry.published_weights("imagenet", "T2TViT14")
    monkeypatch.setenv(published_file.MIRROR, str(tmp_path))
    shutil.copy(original, tmp_path / row.file)
    with pytest.raises(ValueError, match=r"has the SHA-384 .*, expected 98c8ae06"):
        keras_t2t.T2TViT14(weights="imagenet")


def test_a_cached_file_that_was_changed_or_is_none(
    cache, oracle, original, monkeypatch
):
    monkeypatch.setenv(published_file.MIRROR, str(original.parent))
    build()
    path = cache / CONVERTED
    for change in (lambda data: data[:-1], lambda data: b"x" + data[1:]):
        path.write_bytes(change(path.read_bytes()))
        with pytest.raises(ValueError, match=r"SHA-256.*delete it"):
            build()
        path.unlink()
        build()
    path.unlink()
    path.symlink_to("gone")
    helpers.assert_holds(build(), oracle)
    path.unlink()
    path.mkdir()
    helpers.refusal(build)
    shutil.rmtree(cache)
    cache.write_text("")
    helpers.refusal(build)


def test_unknown_published_weights_name_the_known_ones():
    with pytest.raises(ValueError, match=r"'cifar10' for T2TViT7; .*: 'imagenet'$"):
        keras_t2t.T2TViT7(weights="cifar10")
    with pytest.raises(ValueError, match=r"'imagenet', 'cifar10', 'cifar100'$"):
        keras_t2t.T2TViT19(weights="imagenet384")
    with pytest.raises(ValueError, match=r"for this architecture; .* none"):
        keras_t2t.T2TViT(32, 2, 2, 2, weights="imagenet")


def test_every_published_row_is_of_a_variant_and_found():
    assert len(registry.PUBLISHED) == 15
    for row in registry.PUBLISHED:
        assert row.variant in VARIANTS
        assert registry.published_weights(row.name, row.variant) is row
