"""Do tokens made by T2T learn more from few images than plain patches, at equal cost?

    python benchmarks/claim.py --data-dir path/to/cifar10 --minutes 40
    python benchmarks/claim.py --report

Trains the designs of `claim_designs.py` from scratch on CIFAR-10 at 64 px: first a
search for each design's learning rate on training images that are held out, then three
seeds on 2,000, 5,000 and 10,000 images. Each finished run leaves a small folder
in `--output-dir`, and none is trained twice: the same command goes on after the last
whole epoch, and started twice it shares the work between two processes. `--plan` lists
the models, what they cost and what is left to train; `--report` makes table and figures
of the folders alone.
"""

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import claim_runs
from benchmarks.claim_designs import DESIGNS, costs
from benchmarks.claim_runs import missing
from benchmarks.claim_training import read_cifar10, train


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
                if not free or run.result(output):
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


def print_plan(output):
    for name, cost in costs().items():
        print(
            f"{name:12} {DESIGNS[name].title:30} {cost.parameters / 1e6:.2f} M "
            f"parameters, {cost.macs / 1e6:.1f} M MACs"
            + (f"; not matched: {cost.misses}" if cost.misses else "")
        )
    runs = claim_runs.searches() + claim_runs.finals(output)
    left = [run for run in runs if run.result(output) is None]
    print(f"{len(left)} of {len(runs)} runs are left")
    trained = [result for run in runs if (result := run.result(output))]
    speed = {
        name: [r["images_per_cpu_second"] for r in trained if r["design"] == name]
        for name in DESIGNS
    }
    if all(speed.values()):
        seconds = sum(
            run.images * run.epochs / (sum(speed[run.design]) / len(speed[run.design]))
            for run in left
        )
        print(f"about {seconds / 3600:.1f} hours of one core")


if __name__ == "__main__":
    main()
