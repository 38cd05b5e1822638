"""How long loading takes, and how much memory beyond the model's own.

    KERAS_BACKEND=jax python benchmarks/load_weights.py

Writes T2TViT24 with random weights in every format, then loads each file in a fresh
process. "extra" is the highest resident memory while loading less that of the built
model before it, over the file's size (Linux only); mapped pages of the file count.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FORMATS = ("pth.tar", "safetensors", "weights.h5", "keras")
LIMIT = 2.5  # times the file's size


def resident(field):
    """A memory figure of this process in bytes: `VmRSS` (now) or `VmHWM` (peak)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")


def reset_peak():
    Path("/proc/self/clear_refs").write_text("5")


def build(variant):
    from keras_t2t.models.by_name import builder

    return builder(variant)()


def write(variant, folder):
    import keras_t2t

    model = build(variant)
    keras_t2t.save_official(model, folder / "model.pth.tar")
    keras_t2t.save_official(model, folder / "model.safetensors")
    model.save_weights(folder / "model.weights.h5")
    model.save(folder / "model.keras")


def load(variant, path):
    from keras_t2t import load_checkpoint

    model = build(variant)
    before = resident("VmRSS")
    reset_peak()
    start = time.perf_counter()
    load_checkpoint(model, path)
    seconds = time.perf_counter() - start
    extra = (resident("VmHWM") - before) / path.stat().st_size
    verdict = "ok" if extra <= LIMIT else f"ABOVE {LIMIT}"
    print(
        f"{variant:9} {os.environ.get('KERAS_BACKEND', 'default'):10} "
        f"{path.name:17} {path.stat().st_size / 2**20:6.0f} MiB  {seconds:6.2f} s  "
        f"extra {extra:4.2f} x the file  {verdict}",
        flush=True,
    )
    return extra <= LIMIT


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--variant", default="T2TViT24")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        write(arguments.variant, arguments.write)
        return True
    if arguments.load:
        return load(arguments.variant, arguments.load)
    this = [sys.executable, __file__, "--variant", arguments.variant]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*this, "--write", folder], check=True)
        files = [Path(folder) / f"model.{name}" for name in FORMATS]
        return not any([subprocess.run([*this, "--load", f]).returncode for f in files])


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
