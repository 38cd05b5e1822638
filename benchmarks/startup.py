"""What importing the package, building its largest model and loading weights take.

    KERAS_BACKEND=jax python benchmarks/startup.py

Prints the seconds that `import keras_t2t` adds to `import keras`, and those of building
T2TViT24, the median of five fresh processes. Then writes it with random weights in
every format and loads each file in a fresh process: "extra" is the highest resident
memory while loading less that of the built model before it, over the file's size (Linux
only); mapped pages of the file count. Ends with 1 where that is above 2.5.
"""

import argparse
import multiprocessing
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

VARIANT = "T2TViT24"
FORMATS = ("pth.tar", "safetensors", "weights.h5", "keras")
LIMIT = 2.5  # times the file's size


# === Each in a fresh process ===
def seconds():
    """Of importing Keras, of importing this package, and of building the model."""
    start = time.perf_counter()
    import keras  # noqa: F401

    imported = time.perf_counter()
    from keras_t2t.models.by_name import builder

    added = time.perf_counter()
    builder(VARIANT)()
    return imported - start, added - imported, time.perf_counter() - added


def resident(field):
    """A memory figure of this process in bytes: `VmRSS` (now) or `VmHWM` (peak)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def write(folder):
    import keras_t2t

    model = getattr(keras_t2t, VARIANT)()
    keras_t2t.save_official(model, folder / "model.pth.tar")
    keras_t2t.save_official(model, folder / "model.safetensors")
    model.save_weights(folder / "model.weights.h5")
    model.save(folder / "model.keras")


def load(path):
    """Prints what it takes; returns whether it is within the limit."""
    import keras_t2t

    model = getattr(keras_t2t, VARIANT)()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    start = time.perf_counter()
    keras_t2t.load_checkpoint(model, path)
    taken = time.perf_counter() - start
    size = path.stat().st_size
    extra = (resident("VmHWM") - before) / size
    verdict = "ok" if extra <= LIMIT else f"ABOVE {LIMIT}"
    print(
        f"{path.name:17} {size / 2**20:6.0f} MiB  {taken:6.2f} s  extra {extra:4.2f} "
        f"x the file  {verdict}",
        flush=True,
    )
    return extra <= LIMIT


def main():
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, context, max_tasks_per_child=1) as fresh,
    ):
        runs = [fresh.submit(seconds).result() for _ in range(5)]
        labels = "import keras", "import keras_t2t adds", f"building {VARIANT}"
        for label, column in zip(labels, zip(*runs, strict=True), strict=True):
            print(f"{label}: {statistics.median(column):.2f} s", flush=True)
        fresh.submit(write, Path(folder)).result()
        paths = [Path(folder, f"model.{name}") for name in FORMATS]
        return all([fresh.submit(load, path).result() for path in paths])


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
