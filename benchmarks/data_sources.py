"""Do the same images give the same run from every layout, and as fast?

    python benchmarks/data_sources.py --backend torch --data-dir path/to/photographs

Copies image folders (train/<class>/*, val/<class>/*) to parquet files, tars and
Kaggle's layout. Trains T2TViT7 with the full recipe from each, in a process of its own,
and compares history and final weights with the folders'. Trains with Grain too, from
folders and tars, and compares the losses with those of TensorFlow's reader. Then reads
images from all by turns: encoded only, and with the full recipe at 224 px, as ratios to
the folders. Ends with exit code 1 if a run differs by more than 1e-5, or a loss between
the readers by more than 1e-3.
"""

import argparse
import functools
import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.data_layouts import WRITERS, read_folder, write_parquet
from benchmarks.kill_storm import (
    TOLERANCE,
    history,
    largest_difference,
    run_to_the_end,
)

BETWEEN_READERS = 1e-3
LAYOUTS = {
    "folders": WRITERS["folders"],
    "parquet, 100 images a row group": write_parquet,
    "parquet, 1,000 images a row group": functools.partial(
        write_parquet, rows_each=1000
    ),
    "tars": WRITERS["tars"],
    "kaggle": WRITERS["kaggle"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--backend", choices=("jax", "tensorflow", "torch"), required=True)
    add("--data-dir", type=Path, required=True, metavar="DIR")
    add("--steps", type=int, default=200, metavar="N", help="of each run")
    add("--images", type=int, default=512, metavar="N", help="read in each round")
    add("--rounds", type=int, default=5, metavar="N")
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = arguments.backend
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        os.environ["KERAS_HOME"] = str(folder / "keras")
        copies = {}
        files = read_folder(arguments.data_dir)
        for number, (name, write) in enumerate(LAYOUTS.items()):
            copies[name] = folder / f"copy-{number}"
            write(copies[name], files)
        del files
        differences = compare_runs(copies, arguments, folder)
        between = compare_readers(copies, arguments, folder)
        rows = read_by_turns(copies, arguments)
    print("\n| layout | largest difference | opened in | encoded | full recipe |")
    print("| --- | --- | --- | --- | --- |")
    for name, (seconds, *rates) in rows.items():
        ratios = " | ".join(f"{rate:.2f}" for rate in rates)
        print(f"| {name} | {differences[name]:.1e} | {seconds:.2f} s | {ratios} |")
    print(f"\nlargest difference of a loss between the readers: {between:.1e}")
    same = max(differences.values()) <= TOLERANCE and between <= BETWEEN_READERS
    return 0 if same else 1


def compare_runs(copies, arguments, folder):
    """{layout: largest difference to the folders' run}."""
    differences = {}
    for number, (name, copy) in enumerate(copies.items()):
        run = folder / f"run-{number}"
        seconds = train(copy, "tensorflow", run, arguments)
        differences[name] = largest_difference(run, folder / "run-0")
        print(f"{name}: {seconds:.0f} s, difference {differences[name]}", flush=True)
    return differences


def compare_readers(copies, arguments, folder):
    """Largest difference of a loss of Grain's runs from that of TensorFlow's."""
    differences = []
    expected = history(folder / "run-0")
    for name in ("folders", "tars"):
        run = folder / f"grain-{name}"
        seconds = train(copies[name], "grain", run, arguments)
        found = [
            abs(row[loss] - other[loss])
            for row, other in zip(history(run), expected, strict=True)
            for loss in ("loss", "val_loss")
        ]
        differences += found
        print(f"{name}, Grain: {seconds:.0f} s, losses {found}", flush=True)
    same = largest_difference(folder / "grain-folders", folder / "grain-tars")
    print(f"Grain, folders and tars: difference {same}", flush=True)
    return max(*differences, same)


def train(data_dir, reader, run, arguments):
    """Seconds that it takes."""
    command = [
        *("train_imagenet.py", "--backend", arguments.backend),
        *("--model", "T2TViT7", "--image-size", "64", "--batch-size", "16"),
        *("--epochs", "2", "--steps-per-epoch", str(arguments.steps // 2)),
        *("--data-dir", data_dir, "--reader", reader, "--output-dir", run),
    ]
    return run_to_the_end(command, run.with_name("log"))


def read_by_turns(copies, arguments):
    """{layout: (seconds to open, encoded and augmented images/s over the folders')}."""
    from keras_t2t import data

    datasets, seconds = {}, {}
    for name, copy in copies.items():
        begin = time.perf_counter()
        datasets[name] = data.open_dataset(data_dir=copy)
        seconds[name] = time.perf_counter() - begin
    readers = {
        kind: {name: make(dataset) for name, dataset in datasets.items()}
        for kind, make in (("encoded", encoded), ("full", full_recipe))
    }
    rates = {name: [] for name in datasets}
    for streams in readers.values():
        times = {name: [] for name in streams}
        for _ in range(arguments.rounds + 1):
            for name, stream in streams.items():
                begin = time.perf_counter()
                for _ in itertools.islice(stream, arguments.images // 32):
                    pass
                times[name].append(time.perf_counter() - begin)
        base = times["folders"][1:]  # the first round fills buffers
        for name, own in times.items():
            ratios = (one / other for one, other in zip(base, own[1:], strict=True))
            rates[name].append(statistics.median(ratios))
    return {name: (seconds[name], *rates[name]) for name in datasets}


def encoded(dataset):
    """Endless batches of encoded training images, as they lie, in a random order."""
    import numpy as np

    split = dataset._source.train
    random = np.random.default_rng(0)
    while True:
        yield [split.read(index) for index in random.integers(0, len(split), 32)]


def full_recipe(dataset):
    from keras_t2t import data

    return iter(dataset.train_batches(224, 32, 0, data.AUGMENTATIONS["full"]))


if __name__ == "__main__":
    sys.exit(main())
