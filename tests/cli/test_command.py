"""The command as it is typed: its help, its backend, its wrong words."""

import argparse
import os
import sys
import time

import pytest

from keras_t2t.cli import backend
from keras_t2t.cli.dispatch import COMMANDS
from tests.hidden import hiding
from tests.processes import python

COMMAND = """
import sys
import keras_t2t_command

sys.argv[0] = "keras-t2t"
try:
    keras_t2t_command.main()
finally:
    print(sorted({"keras", "numpy", "torch", "jax", "tensorflow"} & set(sys.modules)))
"""


@pytest.fixture
def command(tmp_path):
    """Runs it in a fresh process; libraries in `missing` are not installed."""

    def run(*words, missing=()):
        code = (hiding(*missing) if missing else "") + COMMAND
        environment = {"KERAS_BACKEND": "", "KERAS_HOME": str(tmp_path / "home")}
        return python("-c", code, *words, cwd=tmp_path, **environment)

    return run


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_comes_at_once(name, command):
    begin = time.perf_counter()
    done = command(*name.split(), "--help")
    seconds = time.perf_counter() - begin
    assert done.returncode == 0, done.stderr
    *text, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert text[0].startswith(f"usage: keras-t2t {name or 'COMMAND'} [flags]")
    assert name == "" or text[-1].startswith(f"example: keras-t2t {name} ")
    assert seconds < 3  # 0.3 on an idle machine; Keras would take 5


def test_a_wrong_word_is_told_without_keras(command):
    for words, told in (
        (["trian"], "there is no command 'trian'; the commands are train, finetune,"),
        (["train", "--epoch", "x"], "argument --epochs: invalid int value: 'x'"),
        ([], "the following arguments are required: COMMAND"),
    ):
        done = command(*words)
        assert (done.returncode, done.stdout) == (2, "[]\n")
        assert told in done.stderr


@pytest.mark.parametrize(
    ("installed", "recorded", "chosen", "told"),
    [
        (("jax", "torch"), None, "jax", "the first that is installed"),
        (("tensorflow", "torch"), None, "tensorflow", "the first that is installed"),
        # As Keras writes by itself.
        (("torch",), "tensorflow", "torch", "the first that is installed"),
        (("jax", "torch"), "torch", "torch", "that of keras.json"),
        (("jax",), "theano", "jax", "the first that is installed"),
        (("jax", "torch"), "torchrun", "torch", "which torchrun is for"),
        ((), None, None, None),
    ],
)
def test_the_backend_where_nobody_names_one(
    installed, recorded, chosen, told, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if recorded == "torchrun":
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
        recorded = "jax"
    if recorded:
        (tmp_path / "keras.json").write_text(f'{{"backend": "{recorded}"}}')
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: name in installed)
        if chosen:
            assert backend.default_backend() == chosen
        else:
            with pytest.raises(ImportError, match=r'install "keras-t2t\[jax\]"'):
                backend.default_backend()
    said = capsys.readouterr().err
    assert said.startswith(f"Backend: {chosen}, {told} (") if told else said == ""


def test_a_run_that_is_resumed_keeps_its_backend(tmp_path, monkeypatch):
    """Keras writes another one into keras.json while the run begins."""
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "keras")
    (tmp_path / "keras.json").write_text('{"backend": "tensorflow"}')
    (tmp_path / "config.json").write_text('{"backend": "jax"}')
    monkeypatch.setattr(backend, "is_installed", lambda name: True)
    for resume, expected in ((True, "jax"), (False, "tensorflow")):
        given = {"backend": None, "resume": resume, "output_dir": str(tmp_path)}
        os.environ.pop("KERAS_BACKEND", None)
        backend.start_backend(argparse.Namespace(**given))
        assert os.environ["KERAS_BACKEND"] == expected


def test_a_backend_that_is_asked_for_and_missing(command):
    done = command("compare", "nowhere", "--backend", "torch", missing=("torch",))
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert 'not installed: pip install "keras-t2t[torch]"' in line
