"""Runs a script of `examples/` as its users do."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(name, *arguments, **environment):
    """The finished process of `examples/<name>`, with its output as text.

    The package is this checkout's, installed or not.
    """
    return subprocess.run(
        [sys.executable, "-W", "ignore", ROOT / "examples" / name, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )


def success(name, arguments, monkeypatch, capsys):
    """stdout of a script, run in this process: no import to wait for."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    monkeypatch.syspath_prepend(ROOT / "examples")
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    assert not end.value.code, capsys.readouterr().err
    return capsys.readouterr().out


def failure(name, arguments, monkeypatch, capsys):
    """`(exit code, stderr)` of a script that fails, run in this process: no import
    to wait for."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    monkeypatch.syspath_prepend(ROOT / "examples")
    with pytest.raises(SystemExit) as error:
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    return error.value.code, capsys.readouterr().err


def finish(name, arguments, monkeypatch, capsys):
    """`(exit code, stdout, stderr)` of a script, run in this process."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    monkeypatch.syspath_prepend(ROOT / "examples")
    code = 0
    try:
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()
