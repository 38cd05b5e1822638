"""Runs a script of `examples/` as its users do."""

import runpy
import sys

from tests.processes import ROOT, python


def run(name, *arguments, cwd=None, **environment):
    """The finished process of `examples/<name>`, with its output as text."""
    arguments = (ROOT / "examples" / name, *arguments)
    return python("-W", "ignore", *arguments, cwd=cwd, **environment)


def finish(name, arguments, monkeypatch, capsys):
    """`(exit code, stdout, stderr)` of a script, run in this process: no import to
    wait for."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    monkeypatch.syspath_prepend(ROOT / "examples")
    code = 0
    try:
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
    except SystemExit as stop:
        code = stop.code or 0
    return code, *capsys.readouterr()


def success(*script):
    """stdout of a script, as `finish` runs it."""
    code, out, err = finish(*script)
    assert code == 0, err
    return out


def failure(*script):
    """`(exit code, stderr)` of a script that fails, as `finish` runs it."""
    code, _, err = finish(*script)
    return code, err
