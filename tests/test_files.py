"""What is written is there whole or not at all, whatever ends the writer."""

import inspect
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from keras_t2t._ground import files
from keras_t2t._ground.files import replacing

pytestmark = pytest.mark.once

# Writes in a process that starts at once, without Keras.
START = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(files.__file__).parents[2])!r})
from keras_t2t_command import place_package
place_package()
from keras_t2t._ground import files
kind, path = sys.argv[1:3]
"""
WAIT = """
with files.replacing(path) as temporary:
    temporary.write_text("half")
    print("writing", flush=True)
    sys.stdin.read()
"""
KILLED = """
from pathlib import Path
replace, left = os.replace, int(sys.argv[3])

def killing(*arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(*arguments)

os.replace = killing
with files.replacing(path) as temporary:
    write(kind, temporary, "new")
"""
KINDS = ("file", "pair", "folder")


def write(kind, path, text):
    if kind == "folder":
        path.mkdir()
        path = path / "inside"
    path.write_text(text)
    if kind == "pair":
        path.with_suffix(".bin").write_text(text)
        path.with_suffix(".txt").write_text(text)


def write_other(folder):
    """The next write, which finishes what was left in the folder."""
    with replacing(folder / "other") as temporary:
        temporary.write_text("other")


def content(folder):
    """Text by name of all files; nothing hidden may be among them."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def written(kind, text):
    """What `content` gives of a folder in which `write` has written."""
    names = {"file": ["x.xml"], "pair": ["x.xml", "x.bin", "x.txt"]}
    return dict.fromkeys(names.get(kind, ["x.xml/inside"]), text)


def python(code, *arguments, **streams):
    code = START + inspect.getsource(write) + code
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, text=True, **streams)


# === Nothing half-written ===
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("old", ["old", None])
def test_an_error_in_the_body_leaves_what_was_there(kind, old, tmp_path):
    before = {}
    if old:
        write(kind, tmp_path / "x.xml", old)
        before = content(tmp_path)
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "x.xml") as temporary:
        write(kind, temporary, "half")
        raise KeyboardInterrupt
    assert content(tmp_path) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("old", ["old", None])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("moved", [True, False], ids=["after", "before"])
def test_an_error_between_two_renames(kind, old, error, moved, tmp_path, monkeypatch):
    """Before or after any of them: all is as it was, or all is new."""
    new, replace = written(kind, "new"), os.replace
    for step in range(20):
        folder = tmp_path / str(step)
        folder.mkdir()
        if old:
            write(kind, folder / "x.xml", old)
        before, calls = content(folder), itertools.count()

        def failing(*arguments, step=step, calls=calls):
            at = next(calls) == step
            if at and not moved:
                raise error
            replace(*arguments)
            if at:
                raise error

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", failing)
            try:
                with replacing(folder / "x.xml") as temporary:
                    write(kind, temporary, "new")
            except error:
                pass
            else:
                break
        assert content(folder) in ((before, new) if moved else (before,))
    assert step >= 1 and content(folder) == new


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("old", ["old", None])
def test_a_kill_between_two_renames(kind, old, tmp_path):
    """`x.xml` is old or new with all that belongs to it, or not there; the next write
    in the folder brings it back."""
    for step in range(20):
        folder = tmp_path / str(step)
        folder.mkdir()
        path = folder / "x.xml"
        if old:
            write(kind, path, old)
        process = python(KILLED, kind, path, step)
        if process.wait() == 0:
            break
        assert process.returncode == -signal.SIGKILL
        new, before = written(kind, "new"), written(kind, old) if old else {}
        if path.exists():
            assert {n: (folder / n).read_text() for n in new} in (new, before)
        write_other(folder)
        after = content(folder)
        assert after.pop("other") == "other"
        assert after in (new, before)
    assert step >= 1 and content(folder) == written(kind, "new")


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    write("folder", tmp_path / "x.xml", "old")
    with pytest.raises(IsADirectoryError), replacing(tmp_path / "x.xml") as temporary:
        write("file", temporary, "new")
    assert content(tmp_path) == written("folder", "old")


# === What a killed writer leaves ===
def test_a_dead_writers_folder_is_removed_and_a_living_ones_is_not(tmp_path):
    path = tmp_path / "x.xml"
    path.write_text("old")
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with python(WAIT, "file", path, **streams) as process:
        assert process.stdout.readline() == "writing\n"
        write_other(tmp_path)
        (folder,) = tmp_path.glob(".writing-*")
        assert "half" in content(folder).values()
        process.kill()
    assert folder.exists()
    write_other(tmp_path)
    assert content(tmp_path) == {"x.xml": "old", "other": "other"}


def test_folders_of_others_stay(tmp_path):
    (tmp_path / ".writing-novel").mkdir()
    (tmp_path / ".writing-novel" / "chapter").write_text("mine")
    (tmp_path / ".writing-list").write_text("mine")
    before = content(tmp_path)
    with replacing(tmp_path / "x") as temporary, replacing(tmp_path / "y") as second:
        temporary.write_text("x")
        second.write_text("y")
    assert content(tmp_path) == {**before, "x": "x", "y": "y"}


# === On the disk ===
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_on_the_disk_before_it_has_the_name(kind, tmp_path, monkeypatch):
    """And then the name is: a power cut leaves no empty file with it."""
    done, replace = [], os.replace

    def moved(source, target):
        done.append(os.fspath(target))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", lambda file: done.append(os.fstat(file).st_ino))
    monkeypatch.setattr(os, "replace", moved)
    with replacing(tmp_path / "x.xml") as temporary:
        write(kind, temporary, "new")
    inodes = [(tmp_path / name).stat().st_ino for name in written(kind, "new")]
    assert done[-2:] == [str(tmp_path / "x.xml"), tmp_path.stat().st_ino]
    whole = next(i for i, entry in enumerate(done) if str(entry).endswith("/whole"))
    assert set(inodes) <= set(done[:whole])
