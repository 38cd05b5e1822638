"""Runs a script of `examples/` as its users do."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(name, *arguments, **environment):
    """The finished process of `examples/<name>`, with its output as text.

    The package is this checkout's, installed or not; the libraries' own chatter is
    off, so that stderr is the script's.
    """
    return subprocess.run(
        [sys.executable, "-W", "ignore", ROOT / "examples" / name, *arguments],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            **environment,
        },
    )
