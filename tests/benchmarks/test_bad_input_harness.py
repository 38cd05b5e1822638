"""The harness tells every outcome apart."""

import ctypes
import time
from pathlib import Path

import pytest

from benchmarks import bad_input_harness as harness
from benchmarks.bad_input_harness import Case
from keras_t2t.checkpoints.loading import existing_file

pytestmark = pytest.mark.nightly

EXPECTED = {
    "nothing": harness.RIGHT,
    "told": harness.CLEAR,
    "library": harness.UNCLEAR,
    "type": harness.UNCLEAR,
    "silent": harness.WRONG,
    "sleep": harness.HANG,
    "segfault": harness.CRASH,
    "witness": harness.CODE,
    "allocate": harness.MEMORY,
}


# === This file is itself a module of cases ===
def cases(fraction):
    return [Case("kind", name) for name in EXPECTED]


def prepare(folder):
    (folder / "prepared").touch()


def start(folder):
    assert (folder / "prepared").exists()

    def attempt(case):
        match case.name:
            case "told":
                existing_file("x.onnx")
            case "library":
                Path("/nowhere/x").read_bytes()
            case "type":
                len(3)
            case "silent":
                return harness.WRONG
            case "sleep":
                time.sleep(1000)
            case "segfault":
                ctypes.string_at(0)
            case "witness":
                (folder / harness.WITNESS).touch()
            case "allocate":
                kept = []
                while True:
                    kept.append(bytearray(b"x" * (64 << 20)))
        return harness.RIGHT

    return attempt


def test_every_outcome_is_told(monkeypatch):
    monkeypatch.setattr(harness, "SECONDS", 5)
    monkeypatch.setattr(harness, "BYTES", 256 << 20)
    results = harness.run(__name__)
    assert {result.case.name: result.outcome for result in results} == EXPECTED
    failed = {result.case.name for result in harness.failures(results)}
    assert failed == set(EXPECTED) - {"nothing", "told"}
    assert "| kind | 9 | 1 | 1 | 0 | 2 | 1 | 1 | 1 | 1 | 1 |" in harness.table(results)


@pytest.mark.parametrize(
    ("message", "clear"),
    [("a", True), ("a:\n  b\n  c", True), ("a\nb", False), ("", False)],
)
def test_only_a_list_may_follow_the_first_line(message, clear, monkeypatch):
    monkeypatch.setattr(harness, "PACKAGE", __file__)
    with pytest.raises(ValueError) as caught:
        raise ValueError(message)
    assert harness.is_clear(caught.value) is clear
