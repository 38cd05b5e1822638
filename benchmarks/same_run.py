"""Does a restructuring leave training as it was, to the last bit?

    python benchmarks/same_run.py BASE
    python benchmarks/same_run.py BASE --backends jax --photographs path/to/photographs

Trains 20 steps of the digits, and of photographs with the full recipe where a folder is
given, by `examples/train_imagenet.py` of the revision BASE and of this working tree, on
each backend. Prints a line for each pair of runs: whether all losses, accuracies and
weights are equal, and by how much the weights differ. Ends with exit code 1 if any do.
"""

import argparse
import csv
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = Path("examples", "train_imagenet.py")
STEPS = ("--epochs", "1", "--steps-per-epoch", "20", "--seed", "7")
SMALL = ("--model", "T2TViT7", "--image-size", "64", "--batch-size", "16")


def run(tree, folder, backend, data):
    """Trains in `folder` by the code of `tree`."""
    done = subprocess.run(
        [
            *(sys.executable, tree / SCRIPT, "--backend", backend),
            *(*STEPS, *data, "--output", folder),
        ],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"the run of {tree} failed:\n{done.stderr[-2000:]}")


def numbers(folder):
    """What the history says of losses and accuracies, by epoch and name."""
    with open(folder / "history.csv", encoding="utf-8") as file:
        return {
            (epoch, name): float(value)
            for epoch, row in enumerate(csv.DictReader(file))
            for name, value in row.items()
            if ("loss" in name or "top" in name) and value
        }


def weights(folder):
    """Arrays of the final model and of the average, by their place in the file."""
    found = {}
    for file in sorted(folder.glob("*.keras")):
        data = zipfile.ZipFile(file).read("model.weights.h5")
        with h5py.File(io.BytesIO(data)) as content:
            content.visititems(
                lambda place, node, file=file: (
                    found.__setitem__((file.name, place), node[()])
                    if isinstance(node, h5py.Dataset)
                    else None
                )
            )
    return found


def difference(old, new):
    """What differs between two finished runs, or None."""
    before, now = numbers(old), numbers(new)
    told = [
        f"{name} {before.get((epoch, name))} -> {now.get((epoch, name))}"
        for epoch, name in sorted(before.keys() | now.keys())
        if before.get((epoch, name)) != now.get((epoch, name))
    ]
    before, now = weights(old), weights(new)
    shapes = [{place: array.shape for place, array in w.items()} for w in (before, now)]
    if shapes[0] != shapes[1]:
        places = sorted(set(shapes[0].items()) ^ set(shapes[1].items()))
        told.append(f"other weights: {places[:4]}")
    else:
        worst = max(np.abs(before[place] - now[place]).max(initial=0) for place in now)
        if worst != 0:
            told.append(f"weights by up to {worst:.2g}")
    return "; ".join(told) or None


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", help="revision to compare with")
    backends = ("jax", "tensorflow", "torch")
    parser.add_argument("--backends", nargs="+", choices=backends, default=backends)
    parser.add_argument("--photographs", help="folder with a folder for each class")
    settings = parser.parse_args()
    known = (
        "git",
        "-C",
        ROOT,
        "rev-parse",
        "-q",
        "--verify",
        f"{settings.base}^{{commit}}",
    )
    if subprocess.run(known, stdout=subprocess.DEVNULL).returncode:
        parser.error(
            f"BASE must be a revision of this repository, got {settings.base!r}"
        )
    kinds = {"digits": ("--dataset", "digits")}
    if settings.photographs:
        folder = Path(settings.photographs).resolve()
        kinds["photographs"] = ("--data-dir", folder, "--reader", "grain", *SMALL)
    differing = 0
    with tempfile.TemporaryDirectory() as work:
        base = Path(work, "base")
        git = ("git", "-C", ROOT, "worktree")
        subprocess.run([*git, "add", "-q", "--detach", base, settings.base], check=True)
        try:
            for backend in settings.backends:
                for kind, data in kinds.items():
                    old, new = (Path(work, f"{backend}-{kind}-{i}") for i in (0, 1))
                    run(base, old, backend, data)
                    run(ROOT, new, backend, data)
                    found = difference(old, new)
                    differing += found is not None
                    print(f"{backend}, {kind}: {found or 'the same run'}", flush=True)
        finally:
            subprocess.run([*git, "remove", "--force", base], check=True)
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
