"""What an exported file weighs, and how fast its runtime is, against Keras.

    KERAS_BACKEND=jax python benchmarks/export.py --calibration path/to/photographs

Exports T2TViT7 to every format and precision, then times every file in a fresh
process: the seconds until it has answered once, the latency of one image and the images
per second of a batch of 16. Each is the median over the rounds, in which the files take
turns, so that a busy machine hits all alike. Prints a Markdown table.
"""

import argparse
import json
import os
import runpy
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.runs import ROOT, run
from benchmarks.tables import table

BATCH_SIZE, IMAGE_SIZE = 16, 224
ROUNDS, SECONDS = 3, 3.0  # of a measurement in each round
FORMATS = ("tf_saved_model", "onnx", "litert", "openvino", "torch", "keras")
BACKENDS = ("jax", "tensorflow", "torch")  # of a `.keras` file
HEAD = (
    *("format", "precision", "size, MB", "load, s", "latency of 1, ms"),
    *(f"images/s at {BATCH_SIZE}", "max difference", "top-1 agreement"),
)


def measure(format, path, shape, backend):
    """Times a file in this process; prints the figures as JSON."""
    import numpy as np

    if backend:
        os.environ["KERAS_BACKEND"] = backend
    # Without the package around it, and so without Keras.
    runtimes = runpy.run_path(str(ROOT / "keras_t2t" / "export" / "runtimes.py"))
    generator = np.random.default_rng(0)
    size = (BATCH_SIZE, *json.loads(shape))
    images = generator.uniform(0, 255, size).astype("float32")
    start = time.perf_counter()
    answer = runtimes["load"](format, path)
    answer(images[:1])
    figures = {"load": time.perf_counter() - start}
    for name, batch in (("latency", images[:1]), ("batch", images)):
        answer(batch)  # a first call of a shape may compile
        times = []
        end = time.perf_counter() + SECONDS
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            answer(batch)
            times.append(time.perf_counter() - start)
        figures[name] = statistics.median(times)
    print(json.dumps(figures), flush=True)
    os._exit(0)


def exported(arguments, folder):
    """Yields (report, shape of an image) of each file."""
    import keras

    from keras_t2t import export_model
    from keras_t2t.classifier import find_classifier
    from keras_t2t.export import formats

    keras.utils.set_random_seed(0)
    size = IMAGE_SIZE, IMAGE_SIZE
    model = find_classifier(arguments.weights, "T2TViT7", size).build()
    for name, row in formats.FORMATS.items():
        for precision in row.precisions:
            if precision not in arguments.precisions or name not in arguments.formats:
                continue
            if (name, precision) == ("onnx", "int8") and not arguments.calibration:
                print("no --calibration: no ONNX in int8", file=sys.stderr)
                continue
            path = folder / f"{name}-{precision}{row.suffix}"
            given = {"precision": precision, "calibration": arguments.calibration}
            yield export_model(model, path, name, **given), model.input.shape[1:]


def timed(report, shape, backend):
    """What `measure` finds in a process of its own."""
    file = report.format, report.path, json.dumps(shape), backend
    lines = run(__file__, "--measure", *file).printed.splitlines()
    # A runtime may print more, also after it.
    return next(json.loads(x) for x in reversed(lines) if x.startswith('{"load"'))


def cells(report, backend, rounds):
    load, latency, batch = (
        statistics.median(figures[name] for figures in rounds)
        for name in ("load", "latency", "batch")
    )
    found = report.verification
    return (
        f"{report.format} {backend}".strip(),
        report.precision,
        f"{report.bytes / 1e6:.1f}",
        f"{load:.1f}",
        f"{1000 * latency:.0f}",
        f"{BATCH_SIZE / batch:.1f}",
        f"{found.max_difference:.1e}",
        f"{found.top1_agreement:.0%} of {found.images}",
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--weights", default="random", help="a name, a checkpoint or a run folder")
    add("--calibration", help="folder of photographs")
    add("--formats", nargs="+", default=FORMATS)
    add("--precisions", nargs="+", default=["float32", "float16", "int8"])
    add("--measure", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(*arguments.measure)
    with tempfile.TemporaryDirectory() as folder:
        files = [
            (report, shape, backend, [])
            for report, shape in exported(arguments, Path(folder))
            for backend in (BACKENDS if report.format == "keras" else [""])
        ]
        for _ in range(ROUNDS):
            for *file, rounds in files:
                rounds.append(timed(*file))
        print(table(HEAD, [cells(r, backend, found) for r, _, backend, found in files]))


if __name__ == "__main__":
    main()
