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
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.data_layouts import WRITERS, read_folder

ROOT = Path(__file__).resolve().parents[1]
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
    "": "importing",
    "Listing": "opening the data",
    "Data:": "building the model",
    "T2TViT7,": "restoring",
    "Resuming": "restoring",
    "Nothing": "restoring",
    "Making": "stream and first compile",
    "First": "steps, snapshots, validation",
    "Epoch": "steps, snapshots, validation",
}
SAVING = "after the last snapshot"


def make_photographs(folder):
    """JPEG files in folders train/<class> and val/<class>, of noise in four colours."""
    from PIL import Image

    random = np.random.default_rng(0)
    for split, count in (("train", 16), ("val", 5)):
        for label, name in enumerate(CLASSES):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 128, (48, 40, 3))
                pixels[..., label % 3] += 40 * label
                image = Image.fromarray(pixels.astype("uint8"))
                image.save(folder / split / name / f"{i}.jpg")


def start(command, log):
    """A process of a script in `examples/`; its output goes to the file `log`."""
    script, *arguments = command
    return subprocess.Popen(
        [sys.executable, "-u", ROOT / "examples" / script, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=log,
        stderr=subprocess.STDOUT,
    )


def run_to_the_end(command, log):
    """Seconds that a process takes to its end.

    Raises:
        RuntimeError: it ends with an error, which is shown.
    """
    begin = time.monotonic()
    with open(log, "w") as file:
        process = start(command, file)
        if process.wait() != 0:
            raise RuntimeError(Path(log).read_text()[-2000:])
    return time.monotonic() - begin


def storm(command, folder, kills, life, random, log):
    """Starts one run until it ends by itself; returns the phases it was killed in.

    Raises:
        RuntimeError: a process ended with an error of its own.
    """
    phases = []
    while True:
        left = kills - len(phases)
        # Each run is killed at its end once, if need be with the last kill.
        at_end = left > 0 and SAVING not in phases
        wait = random.uniform(0, life) if left > at_end else math.inf
        with open(log, "w") as file:
            process = start(command, file)
            deadline = time.monotonic() + wait
            saving = False
            while process.poll() is None and time.monotonic() < deadline:
                if saving := at_end and (folder / LAST_SNAPSHOT).exists():
                    break
                time.sleep(0.005)
            if left > 0:
                process.kill()
            process.wait()
        text = Path(log).read_text()
        if process.returncode == 0:
            return phases
        if process.returncode != -9:
            raise RuntimeError(text[-2000:])
        phases.append(SAVING if saving else phase(text))


def phase(text):
    for line in reversed(text.splitlines()):
        for word, name in PHASES.items():
            if word and line.startswith(word):
                return name
    return PHASES[""]


def result(log):
    """The last line that a process printed, but for what a clock or a name says."""
    values = json.loads(Path(log).read_text().splitlines()[-1])
    return {
        name: value
        for name, value in values.items()
        if name not in ("images_per_second", "output_dir")
    }


def largest_difference(folder, whole):
    """Between two run folders, over history and final weights."""
    rows, expected = history(folder), history(whole)
    if len(rows) != len(expected):
        return float("inf")
    differences = [
        abs(row[name] - other[name])
        for row, other in zip(rows, expected, strict=True)
        for name in other.keys() - {"images_per_second"}
    ]
    for name in ("final.keras", "final_ema.keras"):
        pairs = zip(weights(folder / name), weights(whole / name), strict=True)
        differences += [np.abs(one - other).max() for one, other in pairs]
    return float(max(differences))


def history(folder):
    with open(folder / "history.csv", encoding="utf-8") as file:
        return [
            {name: float(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]


def weights(path):
    import keras

    import keras_t2t  # noqa: F401  registers the layers

    model = keras.saving.load_model(path)
    return [np.asarray(w, "float64") for w in model.get_weights()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--backend", choices=("jax", "tensorflow", "torch"), required=True
    )
    parser.add_argument("--kills", type=int, default=20, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--layout", choices=WRITERS, default="folders")
    parser.add_argument("--reader", choices=("tensorflow", "grain"))
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = arguments.backend
    random = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        good = compare(arguments, Path(folder), random)
    return 0 if good else 1


def compare(arguments, folder, random):
    """Whether every killed run was the uninterrupted one; prints what came."""
    photographs, log = folder / "photographs", folder / "log"
    make_photographs(folder / "made")
    WRITERS[arguments.layout](photographs, read_folder(folder / "made"))
    backend = ("--backend", arguments.backend)

    def training(run):
        command = ["train_imagenet.py", *SETTINGS, *backend, "--data-dir", photographs]
        if arguments.reader:
            command += ["--reader", arguments.reader]
        return [*command, "--output", run, "--resume"]

    life = run_to_the_end(training(folder / "whole"), log)
    expected = result(log)
    print(f"uninterrupted: {life:.0f} s, {expected}", flush=True)
    phases, runs, worst, same = collections.Counter(), 0, 0.0, True
    while phases.total() < arguments.kills:
        runs += 1
        killed = folder / f"killed-{runs}"
        left = arguments.kills - phases.total()
        found = storm(training(killed), killed, left, life, random, log)
        phases.update(found)
        same &= result(log) == expected
        difference = largest_difference(killed, folder / "whole")
        worst = max(worst, difference)
        run_to_the_end(training(killed), log)
        same &= result(log) == expected
        run_to_the_end(["evaluate.py", *backend, "--weights", killed], log)
        # Counted there; here a mean in float32.
        same &= abs(result(log)["top1"] - expected["val_top1"]) < 1e-6
        print(
            f"run {runs}: {len(found)} kills, difference {difference:.1e}", flush=True
        )
    print(f"\n| killed in ({arguments.backend}) | kills |\n| --- | --- |")
    for name, count in phases.most_common():
        print(f"| {name} | {count} |")
    print(
        f"\n{phases.total()} kills in {runs} runs; results "
        f"{'the same' if same else 'DIFFER'}, also when asked for again and as "
        f"evaluated; largest difference in history and final weights {worst:.1e}"
    )
    return same and worst <= TOLERANCE


if __name__ == "__main__":
    sys.exit(main())
