"""How fast each framework multiplies the matrices of a backbone, and what that bounds.

    python benchmarks/products.py --models T2TViT7 T2TViT14

Products of the backbone's Dense layers alone, of a training step with their gradients,
take turns with whole steps of the reference. "At most" is the reference's step over
these products: the ratio of a backend in which all else took no time.
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.throughput import BACKENDS, REFERENCE, Worker, subject


def compare(mode, model, batch_size, image_size, rounds, backends=BACKENDS):
    """Rows `(backend, ms of the products, GMAC/s, at most)`, medians over the rounds;
    the first is the reference's whole step."""
    common = {
        "mode": mode,
        "batch_size": batch_size,
        "image_size": image_size,
        "precision": "float32",
    }
    workers = {REFERENCE: Worker(**subject(REFERENCE, model), **common)}
    for backend in backends:
        workers[backend] = Worker(
            kind="products", model=model, backend=backend, **common
        )
    seconds = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            seconds[name].append(worker.seconds(2) / 2)
    passes = 3 if mode == "training" else 1
    rows = []
    for name, worker in workers.items():
        middle = statistics.median(seconds[name])
        macs = worker.start["macs"] * batch_size * passes
        most = statistics.median(
            whole / products
            for whole, products in zip(seconds[REFERENCE], seconds[name], strict=True)
        )
        rows.append((name, 1000 * middle, macs / middle / 1e9, most))
        worker.close()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--models", nargs="+", default=["T2TViT7", "T2TViT14"])
    add("--modes", nargs="+", default=["inference", "training"])
    add("--batch-size", type=int, default=16)
    add("--image-size", type=int, default=224)
    add("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    sizes = arguments.batch_size, arguments.image_size, arguments.rounds
    for model in arguments.models:
        for mode in arguments.modes:
            print(f"**{model}, {mode}, float32**\n")
            print("| | ms | GMAC/s | at most |\n| --- | --- | --- | --- |")
            for name, ms, rate, most in compare(mode, model, *sizes):
                what = f"{name}, whole" if name == REFERENCE else f"{name}, products"
                print(f"| {what} | {ms:.0f} | {rate:.0f} | {most:.2f} |", flush=True)
            print()


if __name__ == "__main__":
    main()
