"""The scripts of `examples/` as users run them: train, kill, resume, evaluate, predict.

As a program it runs one of them, `FIGURES.json SCRIPT [FLAGS]`, and leaves what a
script does not tell: seconds of waiting for images in each epoch, and memory.
"""

import csv
import json
import os
import re
import runpy
import sys
from pathlib import Path

from PIL import Image

from benchmarks.runs import ROOT, run

EXAMPLES = ROOT / "examples"
KEPT = 6000  # characters of what a process printed
# Where a file lies on the machine is nobody's business.
FOLDERS = re.compile(r"(?<![\w.…/])/(?:[\w.+-]+/)+")
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
    run_part(given, "killed", training, kill=snapshot.exists, code=-9)
    figures = run_part(given, "resumed", [*training, "--resume"])
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
    run_part(given, "evaluated", ["evaluate.py", *weights, *reading, *half])
    image = given.work / "image.jpg"
    Image.effect_mandelbrot((160, 144), (-2, -1, 1, 1), 50).convert("RGB").save(image)
    run_part(given, "predicted", ["predict.py", *weights, image])


def run_part(given, part, command, kill=lambda: False, code=0):
    """Runs a script, which leaves a line and must end with `code`; returns its figures,
    None of a killed one."""
    figures = given.work / f"{part}.json"
    launcher = "-m", "benchmarks.gpu_scripts", figures
    ended = run(*launcher, *command, kill=kill, check=False)
    print(ended.printed)
    seconds, printed = round(ended.seconds, 1), kept(ended.printed)
    given.tell(part=part, exit_code=ended.code, seconds=seconds, printed=printed)
    if ended.code != code:
        raise RuntimeError(f"{part}: exit code {ended.code}")
    return None if code else json.loads(figures.read_text())


def kept(text):
    """What a process printed: each line once, no folders, its beginning and end."""
    lines = dict.fromkeys(line.rstrip() for line in text.splitlines())
    text = FOLDERS.sub("…/", "\n".join(lines))
    if len(text) > KEPT:
        text = f"{text[: KEPT // 3]}\n[…]\n{text[-2 * KEPT // 3 :]}"
    return text


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
