"""What an exported file weighs, and how fast its runtime is, against Keras.

    KERAS_BACKEND=jax python benchmarks/export.py --calibration path/to/photographs

Exports one model to every format and precision, then times every file in a fresh
process: the seconds until it has answered once, the latency of one image and the images
per second of a batch of 16. Each is the median over the rounds, in which the files take
turns, so that a busy machine hits all alike. Prints a Markdown table.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BATCH_SIZE = 16


def measure(format, path, seconds, threads):
    """Times a file in this process; prints the figures as JSON."""
    import numpy as np

    runtimes = imported(ROOT / "keras_t2t" / "export" / "runtimes.py")
    size = [int(side) for side in os.environ["IMAGE_SIZE"].split(",")]
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (BATCH_SIZE, *size)).astype("float32")
    start = time.perf_counter()
    run = runtimes.load(format, path, threads)
    run(images[:1])
    figures = {"load": time.perf_counter() - start}
    for name, batch in (("latency", images[:1]), ("batch", images)):
        run(batch)  # a first call of a shape may compile
        times = []
        end = time.perf_counter() + seconds
        while len(times) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            run(batch)
            times.append(time.perf_counter() - start)
        figures[name] = statistics.median(times)
    print(json.dumps(figures), flush=True)
    os._exit(0)


def imported(path):
    """A module by its file, without the package around it and so without Keras."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def export_all(arguments, folder):
    """Yields a row per file: dict of format, precision, path, backend and report."""
    import keras

    from keras_t2t import export_model
    from keras_t2t.classifier import find_classifier
    from keras_t2t.export.formats import FORMATS

    keras.utils.set_random_seed(0)
    classifier = find_classifier(
        arguments.weights, arguments.model, 2 * (arguments.image_size,)
    )
    model = classifier.build()
    os.environ["IMAGE_SIZE"] = ",".join(map(str, model.input.shape[1:]))
    for name, row in FORMATS.items():
        for precision in row.precisions:
            if precision not in arguments.precisions or name not in arguments.formats:
                continue
            if (name, precision) == ("onnx", "int8") and not arguments.calibration:
                print("no --calibration: no ONNX in int8", file=sys.stderr)
                continue
            path = folder / f"{name}-{precision}{row.suffix}"
            report = export_model(
                model,
                path,
                name,
                precision=precision,
                calibration=arguments.calibration,
            )
            backends = [""]
            if name == "keras":
                backends = arguments.keras_backends
            for backend in backends:
                yield {"report": report, "backend": backend, "rounds": []}


def time_once(row, arguments):
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": str(ROOT)}
    if row["backend"]:
        environment["KERAS_BACKEND"] = row["backend"]
    command = [sys.executable, __file__, "--measure", row["report"].format]
    command += [row["report"].path, "--seconds", str(arguments.seconds)]
    if arguments.threads:
        command += ["--threads", str(arguments.threads)]
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def table(rows):
    yield (
        "| format | precision | size, MB | load, s | latency of 1, ms "
        f"| images/s at {BATCH_SIZE} | max difference | top-1 agreement |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in rows:
        report, rounds = row["report"], row["rounds"]
        load, latency, batch = (
            statistics.median(figures[name] for figures in rounds)
            for name in ("load", "latency", "batch")
        )
        found = report.verification
        name = " ".join([report.format, row["backend"]]).strip()
        yield (
            f"| {name} | {report.precision} | {report.bytes / 1e6:.1f} | {load:.1f} "
            f"| {1000 * latency:.0f} | {BATCH_SIZE / batch:.1f} "
            f"| {found.max_difference:.1e} "
            f"| {found.top1_agreement:.0%} of {found.images} |"
        )


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="T2TViT7")
    parser.add_argument(
        "--weights", default="random", help="a name, a checkpoint or a run folder"
    )
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--calibration", help="folder of photographs")
    parser.add_argument(
        "--formats",
        nargs="+",
        default=["tf_saved_model", "onnx", "litert", "openvino", "torch", "keras"],
    )
    parser.add_argument(
        "--precisions", nargs="+", default=["float32", "float16", "int8"]
    )
    parser.add_argument(
        "--keras-backends", nargs="+", default=["jax", "tensorflow", "torch"]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="per measurement")
    parser.add_argument("--threads", type=int, help="of a runtime (default: its own)")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    if arguments.measure:
        measure(*arguments.measure, arguments.seconds, arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = list(export_all(arguments, Path(folder)))
        for _ in range(arguments.rounds):
            for row in rows:
                row["rounds"].append(time_once(row, arguments))
        print(*table(rows), sep="\n")


if __name__ == "__main__":
    main()
