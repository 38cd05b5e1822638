"""Does a restructuring leave training as it was, to the last bit?

    python benchmarks/same_run.py BASE
    python benchmarks/same_run.py BASE --backends jax --photographs path/to/photographs

Trains 20 steps of the digits, and of photographs with the full recipe where a folder is
given, by `examples/train_imagenet.py` of the revision BASE and of this working tree, on
each backend. Prints a line for each pair of runs: whether all losses, accuracies and
weights are equal, and by how much the weights differ. Ends with exit code 1 if any do.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.runs import ROOT, history, run, weights

STEPS = ("--epochs", "1", "--steps-per-epoch", "20", "--seed", "7")
SMALL = ("--model", "T2TViT7", "--image-size", "64", "--batch-size", "16")


def difference(old, new):
    """What differs between two finished runs, or None."""
    before, now = history(old), history(new)
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
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("base", help="revision to compare with")
    backends = ("jax", "tensorflow", "torch")
    parser.add_argument("--backends", nargs="+", choices=backends, default=backends)
    parser.add_argument("--photographs", help="folder with a folder for each class")
    settings = parser.parse_args()
    kinds = {"digits": ("--dataset", "digits")}
    if settings.photographs:
        folder = Path(settings.photographs).resolve()
        kinds["photographs"] = ("--data-dir", folder, "--reader", "grain", *SMALL)
    differing = 0
    with tempfile.TemporaryDirectory() as work:
        base = Path(work, "base")
        worktree = ("git", "-C", ROOT, "worktree")
        added = (*worktree, "add", "-q", "--detach", base, settings.base)
        if code := subprocess.run(added).returncode:
            sys.exit(code)  # git said that it is no revision
        try:
            for backend in settings.backends:
                for kind, data in kinds.items():
                    old, new = (Path(work, f"{backend}-{kind}-{i}") for i in (0, 1))
                    flags = ("--backend", backend, *STEPS, *data, "--output")
                    for tree, output in ((base, old), (ROOT, new)):
                        script = tree / "examples" / "train_imagenet.py"
                        run(script, *flags, output, tree=tree)
                    found = difference(old, new)
                    differing += found is not None
                    print(f"{backend}, {kind}: {found or 'the same run'}", flush=True)
        finally:
            subprocess.run([*worktree, "remove", "--force", base], check=True)
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
