"""A part of the damaged files; `benchmarks/fuzz.py` tries all."""

import ctypes
import time

import pytest

from benchmarks import fuzz, fuzz_surfaces
from benchmarks.fuzz import Surface
from keras_t2t.checkpoints.loading import existing_file

pytestmark = pytest.mark.nightly
ROWS = dict.fromkeys(surface.row for surface in fuzz_surfaces.SURFACES.values())


@pytest.mark.parametrize("row", ROWS)
def test_what_is_damaged_is_right_or_told_in_one_line(row):
    counts = {
        name: max(10, surface.cases // 10)
        for name, surface in fuzz_surfaces.SURFACES.items()
        if surface.row == row
    }
    told = []
    fuzz.run("benchmarks.fuzz_surfaces", counts, seed=1, report=told.append)
    assert not told, "\n".join(told)


# === This file is itself a module of surfaces: each with one outcome ===
def allocate():
    return bytearray(1 << 36)


def wrong():
    raise fuzz.Wrong("half a state")


DOES = {
    fuzz.RIGHT: lambda: b"sound",
    fuzz.CLEAR: lambda: existing_file("x.onnx"),
    fuzz.CHANGED: lambda: b"other",
    fuzz.TRACEBACK: lambda: len(3),
    fuzz.HANG: lambda: time.sleep(1000),
    fuzz.CRASH: lambda: ctypes.string_at(0),
    fuzz.WRONG: wrong,
    "memory": allocate,
}


def start(folder, what):
    path = folder / "file"
    path.write_bytes(b"sound" * 100)
    sound = path.read_bytes()
    return [path], lambda path: b"sound" if path.read_bytes() == sound else what()


SURFACES = {
    outcome: Surface("row", fuzz.NOTHING, 2, lambda folder, do=do: start(folder, do))
    for outcome, do in DOES.items()
}
SURFACES["told"] = SURFACES[fuzz.CHANGED]._replace(tells=fuzz.ALL)


def test_every_outcome_is_told():
    found = fuzz.run(__name__, dict.fromkeys(SURFACES, 2), seconds=5)
    others = {"memory": fuzz.TRACEBACK, "told": fuzz.WRONG}
    assert found == {name: {others.get(name, name): 2} for name in SURFACES}


@pytest.mark.parametrize(
    ("message", "clear"),
    [("a", True), ("a:\n  b\n  c", True), ("a\nb", False), ("", False)],
)
def test_only_a_list_may_follow_the_first_line(message, clear, monkeypatch):
    monkeypatch.setattr(fuzz, "PACKAGE", __file__)
    with pytest.raises(ValueError) as caught:
        raise ValueError(message)
    assert fuzz.is_clear(caught.value) is clear
