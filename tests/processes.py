"""Python in processes of their own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def python(*arguments, cwd=None, input=None, **environment):
    """The finished process, with its output as text; the package is this checkout's,
    installed or not."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        input=input,
        capture_output=True,
        text=True,
        env=with_package(environment),
        check=False,
    )


def example(name, *arguments, **settings):
    """The same of `examples/<name>`."""
    script = ROOT / "examples" / name
    return python("-W", "ignore", script, *arguments, **settings)


def start(*arguments, launcher=(), **environment):
    """The same, not finished, and with the usual answers to signals."""
    return subprocess.Popen(
        [*launcher, sys.executable, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=with_package(environment),
        # Where the tests run in the background of a script, it is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def with_package(environment):
    return {**os.environ, "PYTHONPATH": str(ROOT), **environment}
