"""Runs of Python, as of the scripts in `examples/`, and what a training run leaves."""

import contextlib
import csv
import io
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]


class Ended(NamedTuple):
    code: int
    killed: bool
    seconds: float
    printed: str


def run(*command, tree=ROOT, kill=lambda: False, check=True, group=False):
    """Runs Python with the package of `tree`, until its end or until `kill()` is true.

    With `check` this process ends too, and shows the output, where that fails; with
    `group` all that the process started ends with it.
    """
    command = [sys.executable, "-u", *map(str, command)]
    others = os.environ.get("PYTHONPATH")
    path = f"{tree}{os.pathsep}{others}" if others else str(tree)
    begin, killed = time.monotonic(), False
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            command,
            env={"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=group,
        )
        try:
            while process.poll() is None:
                if kill():
                    killed = True
                    process.kill()
                time.sleep(0.005)
        finally:
            if group:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        output.seek(0)
        printed = output.read()
    code = process.returncode
    if check and code != 0 and not (killed and code == -9):
        sys.exit(f"{' '.join(command)} ended with {code}:\n{printed[-2000:]}")
    return Ended(code, killed, time.monotonic() - begin, printed)


def history(folder):
    """{(epoch, name): number} of a run, but for what a clock says."""
    with open(folder / "history.csv", encoding="utf-8") as file:
        return {
            (epoch, name): float(value)
            for epoch, row in enumerate(csv.DictReader(file))
            for name, value in row.items()
            if name != "images_per_second" and value
        }


def weights(folder):
    """{(file, place in it): array} of the final model and of the average."""
    import h5py

    found = {}
    for file in sorted(folder.glob("*.keras")):
        data = zipfile.ZipFile(file).read("model.weights.h5")
        with h5py.File(io.BytesIO(data)) as content:

            def keep(place, node, file=file):
                if isinstance(node, h5py.Dataset):
                    found[file.name, place] = node[()]

            content.visititems(keep)
    return found
