"""How scripts end by signals: status, one line with a command that works, in time.

In processes of their own that import no Keras; with training: test_resuming.py.
"""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from keras_t2t.cli import stopping
from tests import processes

IMPORTS = """
import os, signal, sys, time
import keras_t2t_command
keras_t2t_command.place_package()
from keras_t2t._ground import files
from keras_t2t.cli import ending
"""
SCRIPT = """
def main():
    if "--hang" in sys.argv:
        # What Python cannot interrupt: nothing is raised in the main thread.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
    if "--timeout" in sys.argv:
        ending.stop_within(0.5)
    print("ready", flush=True)
    while True:
        time.sleep(0.01)

ending.run(main, resumes="--evaluate" not in sys.argv)
"""


@pytest.fixture
def start(tmp_path):
    started = []

    def start(*words, **options):
        script = tmp_path / "train it.py"
        script.write_text(IMPORTS + SCRIPT)
        process = processes.start(script, *words, KERAS_BACKEND="", **options)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process):
    """`(status, line on standard error)`."""
    _, errors = process.communicate(timeout=20)
    [line] = errors.splitlines()
    return process.returncode, line


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"])
def test_the_status_tells_the_signal(start, tmp_path, name):
    number = getattr(signal, name)
    process = start("--output", "a b")
    other = start("--evaluate")  # which has nothing to go on with
    process.send_signal(number)
    other.send_signal(number)
    again = [sys.executable, f"{tmp_path}/train it.py", "--output", "a b"]
    told = f"stopped by {name}; go on with: {shlex.join([*again, '--resume'])}"
    assert ended(process) == (128 + number, f"train it.py: {told}")
    assert ended(other) == (128 + number, f"train it.py: stopped by {name}")


def test_nothing_holds_it_for_ever(start):
    process = start("--hang", "--timeout")
    process.send_signal(signal.SIGUSR1)
    status, line = ended(process)
    assert status == 128 + signal.SIGUSR1
    assert "stopped by force, 0.5 s after SIGUSR1; go on with: " in line


def test_a_second_ctrl_c_ends_it_at_once(start):
    process = start("--hang")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)  # as some schedulers do
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    status, line = ended(process)
    assert status == 130
    assert "stopped at once by a second SIGINT, without saving; go on with: " in line


def test_what_is_ignored_stays_ignored(start):
    process = start(launcher=["nohup"])
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None


def test_signals_of_a_child_are_its_own():
    """One that is forked is ended by SIGTERM, and its parent hears nothing of it."""
    code = """
def main():
    child = os.fork()
    if not child:
        time.sleep(30)
    time.sleep(0.2)
    os.kill(child, signal.SIGTERM)
    assert os.waitpid(child, 0)[1] == signal.SIGTERM
    time.sleep(0.2)
    return 3

ending.run(main)
"""
    done = processes.python("-c", IMPORTS + code)
    assert (done.returncode, done.stderr) == (3, "")


def test_half_written_files_go_at_the_end_by_force(tmp_path):
    code = """
def main():
    signal.signal(signal.SIGTERM, lambda *_: None)
    ending.stop_within(0.2)
    with files.replacing("model.onnx") as path, open(path, "wb") as file:
        file.write(b"half")
        signal.raise_signal(signal.SIGTERM)
        time.sleep(30)

ending.run(main)
"""
    done = processes.python("-c", IMPORTS + code, cwd=tmp_path)
    assert done.returncode == 143
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "folder", "expected"),
    [
        (["--epochs", "3"], None, ["--epochs", "3"]),
        ([], "runs/it's", ["--output", "runs/it's", "--resume"]),
        (["--output=x", "--resume"], "x", ["--output=x", "--resume"]),
        # The run that was there is still there until the new one has a snapshot.
        (["--out", "x", "--over"], None, ["--out", "x", "--over"]),
        (["--out", "x", "--over"], "x", ["--out", "x", "--resume"]),
        (["--", "--x"], "r", ["--output", "r", "--resume", "--", "--x"]),
        (["a\x1b\xe9\\'b", "--backend", "jax"], None, None),
        (["\udcff\n"], None, None),
    ],
)
def test_the_command_that_goes_on(monkeypatch, given, folder, expected):
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setattr(sys, "argv", ["train.py", *given])
    monkeypatch.setattr(sys, "orig_argv", ["python", "-u", "train.py", *given])
    command = stopping.command_again(folder)
    assert "\x1b" not in command and "\n" not in command
    read = subprocess.run(
        ["bash", "-c", rf"printf '%s\0' {command}"], capture_output=True, check=True
    ).stdout
    words = [os.fsdecode(word) for word in read.split(b"\0")[:-1]]
    assert words[:3] == ["python", "-u", "train.py"]
    assert words[3:] == (given if expected is None else expected)


def test_the_command_names_the_backend_that_the_environment_chose(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(sys, "argv", ["train.py"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "train.py"])
    assert stopping.command_again(None) == "python train.py --backend jax"
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    again = stopping.command_again("run")
    assert again == "torchrun ... train.py --output run --backend jax --resume"
