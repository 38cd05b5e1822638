"""Do tokens made by T2T learn more from few images than plain patches, at equal cost?

    python benchmarks/claim.py --data-dir path/to/cifar10 --minutes 40
    python benchmarks/claim.py --report

Trains the designs of `claim_designs.py` from scratch on CIFAR-10 at 64 px: first a
search for each design's learning rate on a held-out tenth of the training images, then
three seeds on 2,000, 5,000 and 10,000 images. Each finished run leaves a small folder
in `--output-dir`, and none is trained twice: the same command goes on after the last
whole epoch, and started twice it shares the work between two processes. `--plan` lists
the models, what they cost and what is left to train; `--report` makes table and figures
of the folders alone.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.claim_designs import DESIGNS, costs
from benchmarks.claim_training import (
    RATES,
    SEARCH_EPOCHS,
    Run,
    read_cifar10,
    train,
)

IMAGES = (2_000, 5_000, 10_000)
SEARCH_IMAGES = 5_000
SEEDS = (0, 1, 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--data-dir", type=Path, metavar="DIR", help="train-*.parquet, test-*.parquet")
    add("--output-dir", type=Path, default=Path(__file__).parent / "claim")
    add("--minutes", type=float, default=40, metavar="N", help="then stop")
    add("--compile", action="store_true", help="fuse (torch, a C++ compiler): faster")
    add("--plan", action="store_true", help="list models and runs, train nothing")
    add("--report", action="store_true", help="table and figures, train nothing")
    arguments = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "torch")
    if arguments.plan:
        return print_plan(arguments.output_dir)
    if arguments.report:
        from benchmarks.claim_report import write_report

        return print(*write_report(arguments.output_dir), sep="\n")
    if arguments.data_dir is None:
        parser.error("--data-dir is needed to train")
    data = read_cifar10(arguments.data_dir)
    end = time.monotonic() + 60 * arguments.minutes
    work(arguments.output_dir, data, end, arguments.compile)


def work(output, data, end, fuse=False):
    """Trains what is missing until `end`, of `time.monotonic`; `fuse`: see `train`.

    Returns:
        Whether all is done.
    """
    while runs := missing(output):
        trained = False
        for run in runs:
            if time.monotonic() > end:
                print(f"stopped; {len(missing(output))} runs are left", flush=True)
                return False
            with held(output / run.name) as free:
                if not free or (output / run.name / "result.json").exists():
                    continue
                result = train(run, data, output / run.name, end, fuse)
            trained = True
            if result is None:
                break
            print(
                f"{run.name}: top-1 {result['top1']:.1%}, "
                f"{result['cpu_seconds']:.0f} s of one core",
                flush=True,
            )
        if not trained:
            time.sleep(5)  # another process has all of them
    return True


@contextlib.contextmanager
def held(folder):
    """Whether no other process trains this run; none does until the end of `with`."""
    from keras_t2t.training.lock import FolderLock

    lock = FolderLock(folder)
    try:
        lock.acquire()
    except ValueError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def missing(output):
    """The runs that are not finished; final ones only of designs whose rate is known.

    Returns:
        List of `Run`, the searches first, then few images before many.
    """
    runs = searches()
    for images in IMAGES:
        for seed in SEEDS:
            for name, design in DESIGNS.items():
                rate = best_rate(output, name)
                if images <= design.most_images and rate is not None:
                    runs.append(Run(name, images, seed, rate))
    return [run for run in runs if not (output / run.name / "result.json").exists()]


def searches():
    return [
        Run(name, SEARCH_IMAGES, 0, rate, search=True, epochs=SEARCH_EPOCHS)
        for name in DESIGNS
        for rate in RATES
    ]


def best_rate(output, design):
    """The peak learning rate with the highest top-1 of the search; None before it is
    at its end."""
    found = {}
    for run in searches():
        if run.design == design:
            path = output / run.name / "result.json"
            if not path.exists():
                return None
            found[run.rate] = json.loads(path.read_text(encoding="utf-8"))["top1"]
    return max(found, key=found.get)


def print_plan(output):
    for name, cost in costs().items():
        print(
            f"{name:12} {DESIGNS[name].title:30} {cost.parameters / 1e6:.2f} M "
            f"parameters, {cost.macs / 1e6:.1f} M MACs"
            + (f"; not matched: {cost.misses}" if cost.misses else "")
        )
    finished = [json.loads(p.read_text()) for p in output.rglob("result.json")]
    speed = {
        name: [r["images_per_cpu_second"] for r in finished if r["design"] == name]
        for name in DESIGNS
    }
    final = [
        Run(name, images, seed, 0.0)
        for images in IMAGES
        for name, design in DESIGNS.items()
        for seed in SEEDS
        if images <= design.most_images
    ]
    left = [
        run
        for run in (*searches(), *final)
        if not (output / run.name / "result.json").exists()
    ]
    print(f"{len(left)} of {len(left) + len(finished)} runs are left")
    if all(speed.values()):
        seconds = sum(
            run.images * run.epochs / (sum(speed[run.design]) / len(speed[run.design]))
            for run in left
        )
        print(f"about {seconds / 3600:.1f} hours of one core")


if __name__ == "__main__":
    main()
