"""Is a run that is killed again and again the run that was never killed?

    python benchmarks/kill_storm.py --backend jax --kills 20
    python benchmarks/kill_storm.py --backend torch --kills 5 --layout tars

Trains T2TViT7 with the full recipe on small JPEG files that it makes, once without
interruption. Then it starts the same command again and again and kills each process
with SIGKILL, at a time drawn uniformly over the life of the uninterrupted one, until a
process ends by itself; then it begins another run, until there were `--kills` kills.
One kill of each run is not drawn: it comes when the last snapshot is there and
`final.keras` is not. Each run's history, final weights and result are compared with the
uninterrupted one's, `evaluate.py` must score its final model as the result says, and
the command, given once more, must print the same result. Ends with exit code 1 if
anything differs by more than 1e-5.
"""

import argparse
import collections
import functools
import io
import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.data_layouts import WRITERS
from benchmarks.runs import ROOT, history, run, weights
from benchmarks.tables import table

EXAMPLES = ROOT / "examples"
CLASSES = ("bright", "dark", "green", "red")
EPOCHS, STEPS = 3, 6
SETTINGS = [
    *("--model", "T2TViT7", "--image-size", "32", "--batch-size", "8"),
    *("--epochs", str(EPOCHS), "--steps-per-epoch", str(STEPS)),
    *("--snapshot-every", "2"),
]
LAST_SNAPSHOT = f"snapshots/step-{EPOCHS * STEPS:09}.npz"
TOLERANCE = 1e-5  # one CPU sums in one order; the rest is float32's last digits
# What the last line of a killed process says about where it was.
PHASES = {
    "opening the data": "Listing",
    "building the model": "Data:",
    "restoring": ("T2TViT7,", "Resuming", "Nothing"),
    "stream and first compile": "Making",
    "steps, snapshots, validation": ("First", "Epoch"),
}
SAVING = "after the last snapshot"


def photographs():
    """{path: JPEG} of noise in four colours, as train/<class>/* and val/<class>/*."""
    from PIL import Image

    random, files = np.random.default_rng(0), {}
    for split, count in (("train", 16), ("val", 5)):
        for label, name in enumerate(CLASSES):
            for i in range(count):
                pixels = random.integers(0, 128, (48, 40, 3))
                pixels[..., label % 3] += 40 * label
                image = Image.fromarray(pixels.astype("uint8"))
                image.save(encoded := io.BytesIO(), "JPEG")
                files[f"{split}/{name}/{i}.jpg"] = encoded.getvalue()
    return dict(sorted(files.items()))  # as folders are read


def storm(command, folder, kills, life, random):
    """Starts one run until it ends by itself; returns the phases it was killed in, and
    what it printed at last."""
    phases = []
    while True:
        left = kills - len(phases)
        # Each run is killed at its end once, if need be with the last kill.
        at_end = left > 0 and SAVING not in phases
        wait = random.uniform(0, life) if left > at_end else math.inf
        last = folder / LAST_SNAPSHOT if at_end else None
        deadline = time.monotonic() + wait
        ended = run(*command, kill=functools.partial(due, deadline, last))
        if ended.code == 0:
            return phases, ended.printed
        phases.append(SAVING if last and last.exists() else phase(ended.printed))


def due(deadline, file):
    return time.monotonic() >= deadline or (file is not None and file.exists())


def phase(text):
    for line in reversed(text.splitlines()):
        for name, words in PHASES.items():
            if line.startswith(words):
                return name
    return "importing"


def result(printed):
    """The last line that a process printed, but for what a clock or a name says."""
    values = json.loads(printed.splitlines()[-1])
    for name in ("images_per_second", "output_dir"):
        values.pop(name, None)
    return values


def largest_difference(folder, whole):
    """Between two run folders, over history and final weights."""
    differences = []
    for numbers in (history, weights):
        found, expected = numbers(folder), numbers(whole)
        if found.keys() != expected.keys():
            return math.inf
        differences += [
            np.abs(found[key] - expected[key]).max()
            for key in found
            # Others are states of random numbers.
            if np.asarray(found[key]).dtype.kind == "f"
        ]
    return float(max(differences))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--backend", choices=("jax", "tensorflow", "torch"), required=True)
    add("--kills", type=int, default=20, metavar="N")
    add("--layout", choices=WRITERS, default="folders")
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = arguments.backend
    with tempfile.TemporaryDirectory() as folder:
        return 0 if compare(arguments, Path(folder)) else 1


def compare(arguments, folder):
    """Whether every killed run was the uninterrupted one; prints what came."""
    WRITERS[arguments.layout](folder / "photographs", photographs())
    backend, random = ("--backend", arguments.backend), np.random.default_rng(0)

    def training(output):
        command = [EXAMPLES / "train_imagenet.py", *SETTINGS, *backend]
        command += ["--data-dir", folder / "photographs"]
        return [*command, "--output", output, "--resume"]

    whole = run(*training(folder / "whole"))
    life, expected = whole.seconds, result(whole.printed)
    print(f"uninterrupted: {life:.0f} s, {expected}", flush=True)
    phases, runs, worst, same = collections.Counter(), 0, 0.0, True
    while phases.total() < arguments.kills:
        runs += 1
        killed = folder / f"killed-{runs}"
        left = arguments.kills - phases.total()
        found, printed = storm(training(killed), killed, left, life, random)
        phases.update(found)
        difference = largest_difference(killed, folder / "whole")
        worst = max(worst, difference)
        again = run(*training(killed)).printed
        same &= result(printed) == result(again) == expected
        evaluated = run(EXAMPLES / "evaluate.py", *backend, "--weights", killed)
        # Counted there; here a mean in float32.
        top1 = result(evaluated.printed)["top1"]
        same &= abs(top1 - expected["val_top1"]) < 1e-6
        print(
            f"run {runs}: {len(found)} kills, difference {difference:.1e}", flush=True
        )
    print()
    print(table([f"killed in ({arguments.backend})", "kills"], phases.most_common()))
    print(
        f"{phases.total()} kills in {runs} runs; results "
        f"{'the same' if same else 'DIFFER'}, also when asked for again and as "
        f"evaluated; largest difference in history and final weights {worst:.1e}"
    )
    return same and worst <= TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
