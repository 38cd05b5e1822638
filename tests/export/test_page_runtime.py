"""Into a page goes ONNX Runtime Web as it was published, and a policy that fits."""

import base64
import hashlib
import io
import re
import tarfile
from pathlib import Path

import pytest

from keras_t2t.export import web

pytestmark = pytest.mark.once


@pytest.fixture
def published(monkeypatch, tmp_path):
    """The package's bytes, which any download gives; and how often one was made."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as package:
        for name in web.RUNTIME:
            content = f"the published {name}".encode()
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            package.addfile(entry, io.BytesIO(content))
    published = buffer.getvalue()
    fetched = []

    def download(url, path, checksum):
        assert (url, checksum) == (web.URL, hashlib.sha512(published).hexdigest())
        fetched.append(url)
        Path(path).write_bytes(published)

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(web, "SHA512", hashlib.sha512(published).hexdigest())
    monkeypatch.setattr(web, "download", download)
    return published, fetched


def kept():
    [path] = web.keras_folder().glob("keras_t2t/*")
    return path


def check(folder):
    for name in web.RUNTIME:
        path = folder / Path(name).name
        assert path.read_text() == f"the published {name}"


def test_it_is_fetched_once(published, tmp_path):
    for name in ("first", "second"):
        web.copy_runtime(tmp_path / name)
        check(tmp_path / name)
    assert len(published[1]) == 1


@pytest.mark.parametrize("damage", ["changed", "cut", "another archive"])
def test_what_differs_is_fetched_again(published, tmp_path, damage):
    web.copy_runtime(tmp_path / "first")
    content = published[0]
    damaged = {
        "changed": content[:-1] + bytes([content[-1] ^ 1]),
        "cut": content[: len(content) // 2],
        "another archive": content + b"more",
    }
    kept().write_bytes(damaged[damage])
    web.copy_runtime(tmp_path / "second")
    check(tmp_path / "second")
    assert len(published[1]) == 2
    assert kept().read_bytes() == content


def test_without_a_network_nothing_takes_its_place(published, tmp_path, monkeypatch):
    web.copy_runtime(tmp_path / "first")
    kept().write_bytes(published[0] + b"more")

    def fail(url, path, checksum):
        raise ConnectionError("no network")

    monkeypatch.setattr(web, "download", fail)
    with pytest.raises(ConnectionError, match="no network"):
        web.copy_runtime(tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_the_policy_names_the_script_that_stands_in_the_page():
    text = (web.PAGE / web.INDEX).read_text(encoding="utf-8")
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in text
