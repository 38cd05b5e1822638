"""Values from outside in messages: one line, which commands no terminal."""

import os
import pwd
from pathlib import Path

import pytest

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.files import keras_folder, read_class_names
from keras_t2t.checkpoints.loading import load_checkpoint
from keras_t2t.cli.ending import in_words, run
from tests.examples import small_run

pytestmark = pytest.mark.once

ODD = "a\x1b[2Jb\rc\nd\x9b1me\u202ef\u2028g\x7fh\x00"


def test_nothing_that_is_shown_commands_a_terminal():
    as_python_writes_it = r"a\x1b[2Jb\rc\nd\x9b1me\u202ef\u2028g\x7fh\x00"
    assert shown(ODD) == as_python_writes_it
    for sound in ("cat.jpg", "Käse 猫 🐈\u200d⬛ नि\u200cष", "a\u00a0b", "C:\\x"):
        assert shown(sound) == sound
    assert shown(Path("x") / os.fsdecode(b"\xff\xe9.jpg")) == "x/\\xff\\xe9.jpg"
    assert shown("\ud800") == "\\ud800"  # no path can hold it, JSON can


def test_messages_of_files_are_shown_so(tmp_path):
    folder = tmp_path / "a\x1b[2J\rb\nc"
    folder.mkdir()
    model = small_run.random_model()
    for name in ("x.pth", "x.safetensors", "x.keras", "x.weights.h5"):
        (folder / name).write_bytes(b"no weights")
        with pytest.raises(ValueError, match=r"damaged|no weights") as caught:
            load_checkpoint(model, folder / name)
        assert not set("\x1b\r\n") & set(str(caught.value))
    # No UTF-8 can hold the second name.
    for names, told in (('["cat", "\\ud800"]', "must hold"), ("{", "is no JSON")):
        (folder / "classes.json").write_text(names)
        with pytest.raises(ValueError, match=told) as caught:
            read_class_names(folder / "classes.json")
        assert not set("\x1b\r\n") & set(str(caught.value))


@pytest.mark.parametrize(("error", "code"), [(ValueError, 2), (RuntimeError, 1)])
def test_a_script_s_last_line(error, code, capfdbinary):
    def main():
        raise error(ODD)

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == code
    told = capfdbinary.readouterr().err
    assert told and not set(b"\x1b\r\x7f\x00") & set(told)


def test_a_missing_file_is_named_before_the_reason():
    error = FileNotFoundError(2, "No such file or directory", b"a/b.json")
    assert in_words(error) == "a/b.json: No such file or directory"
    assert in_words(OSError("as it is")) == "as it is"


def test_a_user_without_a_home(monkeypatch, tmp_path):
    """As in a container that is run under a number."""

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("KERAS_HOME", raising=False)
    folder = keras_folder()
    assert folder.parent == tmp_path and folder.stat().st_mode & 0o77 == 0
    assert keras_folder() == folder
    another = os.getuid() + 1
    monkeypatch.setattr("os.getuid", lambda: another)
    folder.rename(tmp_path / f"keras-{another}")
    with pytest.raises(PermissionError, match="set KERAS_HOME"):
        keras_folder()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "own"))
    assert keras_folder() == tmp_path / "own"
