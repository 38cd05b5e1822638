"""The scripts of `examples/` as users run them: train, kill, resume, evaluate, predict.

As a program it runs one of them, `FIGURES.json SCRIPT [FLAGS]`, and leaves what a
script does not tell: seconds of waiting for images in each epoch, and memory.
"""

import csv
import json
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

from benchmarks.gpu_results import kept

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
# Model, pixels, images of a step, steps of an epoch, of a snapshot; two epochs.
FULL, TOY = ("T2TViT14", 224, 256, 30, 10), ("T2TViT7", 32, 8, 9, 3)


def scripts(given, backend):
    model, size, batch_size, steps, every = TOY if given.rehearsal else FULL
    folder = given.work / "run"
    flags = ["--backend", backend]
    reading = ["--data-dir", given.photographs, "--reader", "grain"]
    half = ["--mixed-precision", "bfloat16", "--batch-size", batch_size]
    training = [
        *("train_imagenet.py", *flags, *reading, *half, "--model", model),
        *("--image-size", size, "--epochs", 2, "--steps-per-epoch", steps),
        *("--snapshot-every", every, "--output", folder),
    ]
    # JAX finds again what the killed process compiled.
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(given.work / "compiled")
    snapshot = folder / "snapshots" / f"step-{2 * every:09}.npz"
    run(given, "killed", training, snapshot)
    figures = run(given, "resumed", [*training, "--resume"])
    with open(folder / "history.csv", encoding="utf-8") as file:
        last = {name: float(x) for name, x in list(csv.DictReader(file))[-1].items()}
    rate = last["images_per_second"]
    given.tell(
        images_per_second=rate,
        waiting_share=figures["waited"][-1] * rate / steps / batch_size,
        memory_gb=figures["memory"] / 1e9,
        top1=last["val_top1"],
    )
    weights = [*flags, "--weights", folder]
    run(given, "evaluated", ["evaluate.py", *weights, *reading, *half])
    image = given.work / "image.jpg"
    Image.effect_mandelbrot((160, 144), (-2, -1, 1, 1), 50).convert("RGB").save(image)
    run(given, "predicted", ["predict.py", *weights, image])


def run(given, part, command, kill_at=None):
    """Runs a script, which leaves a line; kills it when the file `kill_at` is there.

    Raises:
        RuntimeError: it failed, or ended before it could be killed.
    """
    begin = time.perf_counter()
    log, figures = given.work / f"{part}.log", given.work / f"{part}.json"
    launcher = [sys.executable, "-u", "-m", "benchmarks.gpu_scripts", figures]
    with open(log, "w") as file:
        process = subprocess.Popen(
            [*launcher, *map(str, command)], stdout=file, stderr=subprocess.STDOUT
        )
        while kill_at and process.poll() is None:
            if kill_at.exists():
                process.kill()
            time.sleep(0.01)
        code = process.wait()
    text = log.read_text(errors="replace")
    print(text)
    seconds = round(time.perf_counter() - begin, 1)
    given.tell(part=part, exit_code=code, seconds=seconds, printed=kept(text))
    if code != (-9 if kill_at else 0):
        raise RuntimeError(f"{part}: exit code {code}")
    return None if kill_at else json.loads(figures.read_text())


def main():
    path, script, *flags = sys.argv[1:]
    backend = os.environ["KERAS_BACKEND"] = flags[flags.index("--backend") + 1]
    from benchmarks.memory import device_peak, process_peak
    from keras_t2t.training import fitting
    from keras_t2t.training.showing import WaitingForData

    waited = []

    class Telling(WaitingForData):
        def on_epoch_begin(self, epoch, logs=None):
            self.before = self.waited

        def on_epoch_end(self, epoch, logs=None):
            waited.append(self.waited - self.before)

    fitting.WaitingForData = Telling
    sys.argv = [script, *flags]
    sys.path.insert(0, str(EXAMPLES))
    try:
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    finally:
        memory = device_peak(backend) or process_peak()
        Path(path).write_text(json.dumps({"waited": waited, "memory": memory}))


if __name__ == "__main__":
    main()
