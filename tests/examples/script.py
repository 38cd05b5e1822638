"""Runs a script of `examples/` in a process of its own."""

from tests.processes import ROOT, python


def run(name, *arguments, cwd=None, **environment):
    """The finished process of `examples/<name>`, with its output as text."""
    arguments = (ROOT / "examples" / name, *arguments)
    return python("-W", "ignore", *arguments, cwd=cwd, **environment)
