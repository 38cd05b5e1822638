"""Into a page goes ONNX Runtime Web as it was published, and a policy that fits."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from benchmarks.data_layouts import write_tar
from keras_t2t.export import formats, web
from tests.export import tiny

pytestmark = pytest.mark.once


def test_it_is_fetched_once_and_again_if_it_differs(tmp_path, monkeypatch):
    files = {f"package/{name}": f"published {name}".encode() for name in web.RUNTIME}
    published = write_tar(tmp_path / "published.tgz", files, "w:gz").read_bytes()
    checksum = hashlib.sha512(published).hexdigest()
    fetched, answers = [], [published, None, published]

    def download(url, path, expected):
        assert (url, expected) == (web.URL, checksum)
        fetched.append(answers.pop(0))
        if fetched[-1] is None:
            raise ConnectionError("no network")
        path.write_bytes(fetched[-1])

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(web, "SHA512", checksum)
    monkeypatch.setattr(web, "download", download)

    def check_copy(folder):
        web.copy_runtime(folder)
        for name in web.RUNTIME:
            assert (folder / Path(name).name).read_text() == f"published {name}"

    check_copy(tmp_path / "first")
    check_copy(tmp_path / "second")
    assert len(fetched) == 1
    [kept] = web.keras_folder().glob("keras_t2t/*")
    # Another time in gzip's header: an archive of the same size and the same files.
    kept.write_bytes(published[:4] + bytes([published[4] ^ 1]) + published[5:])
    with pytest.raises(ConnectionError, match="no network"):
        web.copy_runtime(tmp_path / "third")
    assert not (tmp_path / "third").exists()
    check_copy(tmp_path / "third")
    assert len(fetched) == 3 and kept.read_bytes() == published


def test_the_policy_names_the_script_that_stands_in_the_page():
    text = (web.PAGE / "index.html").read_text(encoding="utf-8")
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in text


def test_a_model_s_address_is_of_its_content(tmp_path, monkeypatch):
    """So a page that is replaced does not get the former model from a cache."""
    contents, named = [b"a", b"a", b"b"], []
    monkeypatch.setattr(web, "copy_runtime", lambda folder: None)
    monkeypatch.setattr(
        web, "write_onnx", lambda _, path, *__, **___: path.write_bytes(contents.pop())
    )
    for i in range(3):
        web.write_web(tiny.build(), tmp_path / f"{i}", formats.Options())
        manifest = json.loads((tmp_path / f"{i}" / "manifest.json").read_text())
        named.append(manifest["file"])
    assert named[0] != named[1] == named[2]
    assert named[0].startswith("model.onnx?")
