"""Whose a folder is, who holds it, and what is ever removed from it."""

import json
import os
import shutil
import types
from pathlib import Path
from unittest.mock import Mock

import keras
import numpy as np
import pytest

from keras_t2t.training import lock
from keras_t2t.training.planning import default_folder
from keras_t2t.training.run_folder import RunFolder
from tests.processes import python

pytestmark = pytest.mark.once

ARRAYS = {"model/0": np.zeros(3, "float32")}
RESULT = {"val_top1": 0.5}


def record(run):
    versions = {"keras_t2t": "0.1", "keras": "3.15"}
    return {"versions": versions, "run": run, "epochs": 3}


def save(folder, step, run):
    folder.snapshots.save(step, ARRAYS, {"history": [], "config": record(run)})


def replace_run(folder):
    """Begins the run "new" in a folder that has an older one."""
    assert folder.find_run(overwrite=True) is None
    folder.start(record("new"), ["c"])


def leave_run(path, finished=False):
    """What the run "old" leaves: with `finished` all of it, else a snapshot."""
    with RunFolder(path) as folder:
        folder.start(record("old"), ["a", "b"])
        for name in ("history.csv", "best.weights.h5"):
            (path / name).write_text("old")
        if finished:
            (path / "final.keras").write_text("old")
            folder.write_result(RESULT)
        else:
            save(folder, 3, "old")


def contents(path):
    return {
        p.relative_to(path): p.is_file() and p.read_bytes() for p in path.rglob("*")
    }


@pytest.mark.parametrize(
    "foreign", ["config.json", "history.csv", "tensorboard/mine", "final.keras"]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_another_program_stays_as_it_is(tmp_path, foreign, overwrite):
    (tmp_path / foreign).parent.mkdir(exist_ok=True)
    (tmp_path / foreign).write_text('{"model": "mine"}')
    before = contents(tmp_path)
    with (
        RunFolder(tmp_path) as folder,
        pytest.raises(ValueError, match=r"holds .*it stays as it is; give another"),
    ):
        folder.find_run(overwrite, resume=not overwrite)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("finished", [False, True])
def test_the_old_run_goes_with_the_new_one_s_first_result(tmp_path, finished):
    """And other files beside it stay."""
    leave_run(tmp_path, finished=finished)
    (tmp_path / "notes.txt").write_text("mine")
    # What is of its model goes, what only has such a name stays.
    for name, mark in (("evaluation", "evaluation.json"), ("web", "mine.html")):
        (tmp_path / name).mkdir()
        (tmp_path / name / mark).write_text("{}")
    for name in ("model.onnx", "model.classes.json", "model_int8.onnx"):
        (tmp_path / name).write_text("{}")
    before = contents(tmp_path)
    with RunFolder(tmp_path) as folder:
        replace_run(folder)
        folder.abandon()
    assert contents(tmp_path) == before
    with RunFolder(tmp_path) as folder:
        replace_run(folder)
        save(folder, 1, "new")  # the old one's snapshot is of a later step
        folder.has_result()
        save(folder, 2, "new")
        assert folder.find_run(resume=True) == record("new")
        assert folder.result(record("new")) is None
    names = [path.name for path in sorted((tmp_path / "snapshots").iterdir())]
    assert names == ["step-000000001.npz", "step-000000002.npz"]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("notes.txt", "web", "config.json", "classes.json", "snapshots"),
        "model_int8.onnx",
    }
    assert json.loads((tmp_path / "classes.json").read_text()) == ["c"]


def test_killed_while_the_old_run_goes(tmp_path, monkeypatch):
    """Between the two, either run is found whole, and never a mixture."""
    leave_run(tmp_path, finished=True)
    with RunFolder(tmp_path) as folder:
        replace_run(folder)
        save(folder, 1, "new")
        interrupted = Mock(side_effect=KeyboardInterrupt)
        monkeypatch.setattr(folder, "_remove_all_but", interrupted)
        with pytest.raises(KeyboardInterrupt):
            folder.has_result()
    with RunFolder(tmp_path) as folder:
        assert folder.find_run(resume=True) == record("new")
        assert folder.result(record("new")) is None
        (tmp_path / "classes.json").write_text('["a"]')  # of a kill before they came
        folder.go_on(record("new"), ["c"])
    assert not (tmp_path / "final.keras").exists()
    assert not (tmp_path / "result.json").exists()
    assert json.loads((tmp_path / "classes.json").read_text()) == ["c"]


def test_the_new_run_s_events_stay(tmp_path):
    """TensorBoard has them open from the run's begin."""
    leave_run(tmp_path, finished=True)
    board = tmp_path / "tensorboard" / "train"
    board.mkdir(parents=True)
    (board / "events.old").touch()
    (board / "events.kept").mkdir()  # what cannot be removed stays
    with RunFolder(tmp_path) as folder:
        replace_run(folder)
        (board / "events.new").touch()
        save(folder, 1, "new")
        folder.has_result()
    assert {path.name for path in board.iterdir()} == {"events.new", "events.kept"}


@pytest.mark.parametrize("damaged", ["", "null", "{", '{"model": "x"}'])
def test_a_lost_configuration_is_read_from_the_snapshots(tmp_path, damaged):
    leave_run(tmp_path)
    (tmp_path / "config.json").write_text(damaged)
    with RunFolder(tmp_path) as folder:
        assert folder.find_run(resume=True) == record("old")
        (tmp_path / "config.json").unlink()
        assert folder.find_run(resume=True) == record("old")
    assert (tmp_path / "snapshots" / "step-000000003.npz").exists()


def test_a_finished_run_tells_its_result(tmp_path):
    leave_run(tmp_path, finished=True)
    with RunFolder(tmp_path) as folder:
        found = folder.find_run(resume=True)
        assert folder.result(found) == RESULT
        with pytest.raises(ValueError, match=r"finished run.*--overwrite"):
            folder.find_run()
        for damaged in ("[]", '"x"', "{}", '{"run": "old"}', '{"result": {}}'):
            (tmp_path / "result.json").write_text(damaged)
            assert folder.result(found) is None


def test_a_home_that_the_shell_leaves_and_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunFolder("~/run").path == tmp_path / "run"
    assert str(RunFolder("~nobody-of-this-name").path) == "~nobody-of-this-name"
    (tmp_path / "run").touch()
    with pytest.raises(ValueError, match=r"output_dir .* is a file"):
        RunFolder("~/run")


def test_one_process_holds_the_folder(tmp_path):
    path = tmp_path / "nested" / "run"
    with RunFolder(path):
        with (
            pytest.raises(ValueError, match=rf"in use by process {os.getpid()} on "),
            RunFolder(path),
        ):
            pass
        assert (path / ".lock").exists()
    assert not (tmp_path / "nested").exists()  # nothing was left in it


HOLDS_AND_DIES = """
import os, signal, sys
from keras_t2t.training.lock import FolderLock
FolderLock(sys.argv[1]).acquire()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.processes
def test_a_dead_process_holds_nothing(tmp_path):
    killed = python("-c", HOLDS_AND_DIES, tmp_path)
    assert killed.returncode == -9, killed.stderr
    assert (tmp_path / ".lock").exists()
    with RunFolder(tmp_path):
        pass
    assert not (tmp_path / ".lock").exists()


def test_where_an_open_file_cannot_be_removed(tmp_path, monkeypatch):
    """As on Windows, which has no `flock` either."""
    folder, unlink = RunFolder(tmp_path / "run"), Path.unlink

    def refusing(path, missing_ok=False):
        if path.name == ".lock" and not folder.lock.file.closed:
            raise PermissionError("another process uses the file")
        unlink(path, missing_ok)

    monkeypatch.setattr(lock, "fcntl", None)
    monkeypatch.setattr(Path, "unlink", refusing)
    with folder:
        assert (tmp_path / "run" / ".lock").exists()
    assert not list(tmp_path.iterdir())


def test_default_folders_have_names_of_their_own_that_every_system_takes(tmp_path):
    data = types.SimpleNamespace(name="../a:b\\c\n")
    runs, name = default_folder("<lambda>", data).split("/")
    assert runs == "runs" and not set(name) & set('<>:"/\\|?*\n')
    folders = [RunFolder.new(str(tmp_path / "run")) for _ in range(3)]
    assert [folder.path.name for folder in folders] == ["run", "run-2", "run-3"]
    for folder in folders:
        with folder:
            pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_somebody_removed(tmp_path):
    with RunFolder(tmp_path / "nested" / "run"):
        shutil.rmtree(tmp_path / "nested")


@pytest.mark.parametrize("main", [True, False])
def test_only_the_main_process_keeps_a_model(main, tmp_path):
    image = keras.Input((2,))
    model = keras.Model(image, keras.layers.Dense(1)(image))
    folder = RunFolder(tmp_path, main)
    folder.start(record("one"), ["a", "b"])
    for name in ("final.keras", "best.weights.h5"):
        folder.save_model(model, name)
        assert (tmp_path / name).is_file() == main
