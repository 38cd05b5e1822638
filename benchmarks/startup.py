"""What importing the package, building its largest model and loading weights take.

    KERAS_BACKEND=jax python benchmarks/startup.py

Prints the seconds that `import keras_t2t` adds to `import keras`, and those of building
T2TViT24, the median of five fresh processes. Then writes it with random weights in
every format and loads each file in a fresh process: "extra" is the highest resident
memory while loading less that of the built model before it, over the file's size (Linux
only); mapped pages of the file count. Ends with 1 where that is above 2.5.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VARIANT = "T2TViT24"
FORMATS = ("pth.tar", "safetensors", "weights.h5", "keras")
LIMIT = 2.5  # times the file's size


def built():
    """The model, and the seconds of importing Keras, this package, and of building."""
    start = time.perf_counter()
    import keras  # noqa: F401

    imported = time.perf_counter()
    from keras_t2t.models.by_name import builder

    added = time.perf_counter()
    model = builder(VARIANT)()
    return model, (imported - start, added - imported, time.perf_counter() - added)


def resident(field):
    """A memory figure of this process in bytes: `VmRSS` (now) or `VmHWM` (peak)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def write(model, folder):
    import keras_t2t

    keras_t2t.save_official(model, folder / "model.pth.tar")
    keras_t2t.save_official(model, folder / "model.safetensors")
    model.save_weights(folder / "model.weights.h5")
    model.save(folder / "model.keras")


def load(model, path):
    """Prints what it takes; returns whether it is within the limit."""
    from keras_t2t import load_checkpoint

    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    start = time.perf_counter()
    load_checkpoint(model, path)
    seconds = time.perf_counter() - start
    size = path.stat().st_size
    extra = (resident("VmHWM") - before) / size
    verdict = "ok" if extra <= LIMIT else f"ABOVE {LIMIT}"
    print(
        f"{path.name:17} {size / 2**20:6.0f} MiB  {seconds:6.2f} s  extra {extra:4.2f} "
        f"x the file  {verdict}",
        flush=True,
    )
    return extra <= LIMIT


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("write", "load"):
        parser.add_argument(f"--{name}", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--time", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write or arguments.load or arguments.time:
        model, seconds = built()
        if arguments.time:
            print(*seconds)
        elif arguments.write:
            write(model, arguments.write)
        return not arguments.load or load(model, arguments.load)
    this = [sys.executable, __file__]
    runs = [
        subprocess.run([*this, "--time"], stdout=subprocess.PIPE, check=True)
        for _ in range(5)
    ]
    columns = zip(*(map(float, run.stdout.split()) for run in runs), strict=True)
    labels = "import keras", "import keras_t2t adds", f"building {VARIANT}"
    for label, seconds in zip(labels, columns, strict=True):
        print(f"{label}: {statistics.median(seconds):.2f} s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*this, "--write", folder], check=True)
        files = [Path(folder) / f"model.{name}" for name in FORMATS]
        return not any([subprocess.run([*this, "--load", f]).returncode for f in files])


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
