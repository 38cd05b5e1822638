"""Scripts of `examples/`, run in this process: no import to wait for."""

import runpy
import sys

import pytest

from tests.processes import ROOT


@pytest.fixture
def finish(monkeypatch, capsys):
    """`(exit code, stdout, stderr)` of a script, by its name and arguments."""

    def finish(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        monkeypatch.syspath_prepend(ROOT / "examples")
        code = 0
        try:
            runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
        except SystemExit as stop:
            code = stop.code or 0
        return code, *capsys.readouterr()

    return finish


@pytest.fixture
def success(finish):
    """stdout of a script that does not fail."""

    def success(name, *arguments):
        code, out, err = finish(name, *arguments)
        assert code == 0, err
        return out

    return success
