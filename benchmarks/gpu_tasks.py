"""What `gpu.py` measures: tasks of cells, each of which runs in a process of its own.

The first argument of such a process is the cell with its settings as JSON.
"""

import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.gpu_scripts import scripts
from benchmarks.records import append_line
from benchmarks.throughput import Worker, subject

# As published, dense bfloat16, FLOP/s; the first that the device's name holds.
PEAKS = {"H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "H200": 989e12}

IMAGENET = 1_281_167  # images for training


class Given(NamedTuple):
    """What a cell works with."""

    results: Path
    line: dict  # what each of its lines begins with
    photographs: Path | None
    work: Path  # a folder of its own
    rehearsal: bool

    def tell(self, **figures):
        append_line(self.results, {**self.line, **figures})


# === The scripts: gpu_scripts.py ===
def script_cells(rehearsal):
    # First the one that does not compile for a minute.
    return [{"backend": backend} for backend in ("torch", "jax")]


# === Throughput ===
BATCH_SIZES = (256, 512, 128)
MODELS = ("T2TViT14", "DeiT-S", "T2TViT7", "ResNet50")
TIMM = ("deit_small_patch16_224", "resnet50", "vit_little_patch16_reg4_gap_256")


def throughput_cells(rehearsal):
    if rehearsal:
        rows = [("T2TViT7", "torch:compiled"), ("DeiT-S", "jax")]
        return steps(rows, ("training", "inference"), [2])
    rows = [(model, name) for model in MODELS for name in ("jax", "torch")]
    if importlib.util.find_spec("timm"):
        rows += [(model, "timm:compiled") for model in TIMM]
    rows += [(model, "torch:compiled") for model in MODELS]
    return steps(rows, ("training", "inference"), BATCH_SIZES)


def steps(rows, modes, batch_sizes):
    names = "batch_size", "mode", "model", "implementation"
    return [
        dict(zip(names, (batch_size, mode, *row), strict=True))
        for batch_size in batch_sizes
        for mode in modes
        for row in rows
    ]


def throughput(given, model, implementation, mode, batch_size):
    """Steps in bfloat16 on one batch that lies on the device."""
    image_size = 32 if given.rehearsal else 256 if model.endswith("_256") else 224
    worker = Worker(
        **subject(implementation.replace("timm", f"timm:{model}"), model),
        **{"mode": mode, "batch_size": batch_size},
        **{"image_size": image_size, "precision": "bfloat16"},
    )
    rate = batch_size / seconds_a_step(worker, given.rehearsal)
    worker.close()
    device = given.line["device"]
    training = mode == "training"
    # An addition and a multiplication; training is three forward passes.
    flops = 2 * worker.start["macs"] * (3 if training else 1)
    peak = next((peak for name, peak in PEAKS.items() if name in device), None)
    given.tell(
        image_size=image_size,
        images_per_second=rate,
        gflop_an_image=flops / 1e9,
        share_of_peak=peak and rate * flops / peak,
        hours_for_310_epochs=310 * IMAGENET / rate / 3600 if training else None,
        first_step_s=worker.start["first_step"],
        memory_gb=worker.start["memory"] / 1e9,
    )


def seconds_a_step(worker, rehearsal):
    """From long runs less short ones, as the beginning and end of `fit` take 50 ms."""
    rounds, number = 1, 1
    if not rehearsal:
        worker.seconds(2)  # the first run of several steps may take long
        few, many = worker.seconds(4), worker.seconds(12)
        step = max((many - few) / 8, many / 50)  # noise may make it nothing
        rounds, number = 3, max(1, round(1.5 / step))
    pairs = [(worker.seconds(1), worker.seconds(1 + number)) for _ in range(rounds)]
    return max(1e-4, statistics.median(long - short for short, long in pairs) / number)


# === Attention on JAX ===
def attention_cells(rehearsal):
    models = ("T2TViT7",) if rehearsal else ("T2TViT14", "DeiT-S")
    rows = [(model, "jax:padded") for model in models]
    return [{}, *steps(rows, ["training"], [2] if rehearsal else BATCH_SIZES)]


def attention(given, **step):
    """A training step's time, or how right the numbers are."""
    if step:
        return throughput(given, **step)
    os.environ["KERAS_BACKEND"] = "jax"
    import jax
    from jax import numpy as jnp

    from benchmarks.padded_attention import padded_attention
    from keras_t2t.layers.attention import scaled_dot_product_attention
    from keras_t2t.layers.platform import jax_platform

    kernel = {"implementation": "cudnn" if jax_platform() == "gpu" else "xla"}
    shape = (2, 5, 2, 8) if given.rehearsal else (32, 197, 6, 64)
    random = np.random.default_rng(0)
    drawn = [jnp.asarray(random.normal(size=shape), "bfloat16") for _ in range(4)]
    scale = shape[-1] ** -0.5
    ways = {
        "ordinary": lambda *qkv: scaled_dot_product_attention(
            *qkv, scale, training=True
        ),
        "padded": lambda *qkv: padded_attention(*qkv, scale, **kernel),
        "odd": lambda *qkv: jax.nn.dot_product_attention(*qkv, scale=scale, **kernel),
    }

    def numbers(attend, dtype):
        *qkv, direction = (part.astype(dtype) for part in drawn)
        attended, backward = jax.vjp(attend, *qkv)
        return [np.asarray(x, "float64") for x in (attended, *backward(direction))]

    with jax.default_matmul_precision("highest"):
        expected = numbers(ways["ordinary"], "float32")
    for way, attend in ways.items():
        try:
            pairs = zip(numbers(attend, "bfloat16"), expected, strict=True)
            off = [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs]
        except Exception as error:  # a kernel refuses in many ways
            refused = " ".join(str(error).split())[:200].replace("|", "/")
            given.tell(way=way, output=refused)
        else:
            given.tell(way=way, output=off[0], gradients=max(off[1:]))


# === The input pipeline ===
def pipeline_cells(rehearsal):
    cores = min(16, len(os.sched_getaffinity(0)))
    fewer = [] if rehearsal else [n for n in (1, 4, 8, 2) if n < cores]
    # First whether threads or processes are to feed a GPU.
    both = [{"cores": cores, "processes": processes} for processes in (0, cores)]
    return [*both, *({"cores": count, "processes": 0} for count in fewer)]


def pipeline(given, cores, processes):
    """Batches by Grain's reader: in threads, or in so many processes of one thread."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    os.environ.update(KERAS_BACKEND="torch", CUDA_VISIBLE_DEVICES="")
    import grain
    from absl import flags

    from keras_t2t import data
    from keras_t2t.data.grain_reader import reader

    reader.THREADS = 1 if processes else cores  # it counts the machine's
    dataset = data.open_dataset(data_dir=given.photographs, reader="grain")
    size, batch_size, seconds = (32, 4, 0.5) if given.rehearsal else (224, 128, 4.0)
    for recipe, name in {"full recipe": "full", "crop and flip": "light"}.items():
        batches = dataset.train_batches(size, batch_size, 0, data.AUGMENTATIONS[name])
        if processes:
            flags.FLAGS.mark_as_parsed()  # Grain asks for some of its own
            options = grain.multiprocessing.MultiprocessingOptions(processes)
            batches = batches.mp_prefetch(options)
        stream = iter(batches)
        for _ in range(2 * max(1, processes)):  # until all are at work
            next(stream)
        begin, images = time.perf_counter(), 0
        while time.perf_counter() < begin + seconds:
            images += len(next(stream)[0])
        rate = images / (time.perf_counter() - begin)
        given.tell(recipe=recipe, images_per_second=rate)


# === From scratch ===
def scratch_cells(rehearsal):
    models = ("T2TViT14", "ViT of equal MACs")
    return [{"model": model, "epochs": 1 if rehearsal else 30} for model in models]


def scratch(given, model, epochs):
    """Photographs on the device, an epoch as one program, as in `claim.py`."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    from benchmarks import claim
    from keras_t2t import count_macs

    width, depth, heads = (16, 1, 2) if given.rehearsal else (384, 14, 6)
    tokens = "performer" if model == "T2TViT14" else 16
    depth += tokens == 16 and not given.rehearsal  # 1.51 GMACs to 1.48 at 128 px
    design = claim.Design(
        model, tokens, width, depth, heads, most_images=0, mlp_ratio=3
    )
    if given.rehearsal:
        claim.DEVICE_BATCH_SIZE = 8
    data = pixels(given.photographs, 32 if given.rehearsal else claim.DEVICE_SIZE)
    keras.utils.set_random_seed(0)
    training, rate = (data.images, data.labels), claim.DEVICE_RATE
    trained, history = claim.trained_on_device(design, training, rate, 0, epochs)
    seconds = statistics.median(history["seconds"])
    figures = {
        "gmacs": count_macs(trained) / 1e9,
        "images": len(data.images),
        "loss": history["loss"],
        "epoch_s": seconds,
        "first_epoch_s": history["seconds"][0],
        "images_per_second": len(data.images) / seconds,
    }
    given.tell(**figures)  # evaluating compiles once more
    top1 = claim.evaluated(trained, (data.test_images, data.test_labels))
    given.tell(**figures, top1=top1)


def pixels(folder, size):
    """All photographs of a folder in memory, cut to squares as for evaluation."""
    from benchmarks.claim import CLASSES, Data
    from keras_t2t import data
    from keras_t2t.data.dataset import Validation
    from keras_t2t.data.grain_reader import reader

    source = data.open_dataset(data_dir=folder, reader="grain")._source
    parts = []
    for split in (source.train, source.validation):
        asked = Validation(size, batch_size=256, crop=1.0)
        batches = reader.validation_batches(split, asked, CLASSES)
        images, targets = map(np.concatenate, zip(*batches, strict=True))
        parts += [images, targets.argmax(-1)]
    return Data(*parts)


# === All tasks ===
class Task(NamedTuple):
    share: float  # of the time
    limit: float  # seconds of a cell
    least: float  # seconds that are worth beginning one with
    cells: Callable  # from whether it is a rehearsal to arguments of the function
    function: Callable
    photographs: bool  # whether it needs any


TASKS = {  # in the order of their worth
    "scripts": Task(0.5, 240, 100, script_cells, scripts, True),
    "throughput": Task(0.3, 120, 60, throughput_cells, throughput, False),
    "attention": Task(0.2, 120, 40, attention_cells, attention, False),
    "pipeline": Task(0.1, 90, 20, pipeline_cells, pipeline, True),
    "scratch": Task(0.1, 240, 120, scratch_cells, scratch, True),
}


def main():
    settings = json.loads(sys.argv[1])
    line, name = settings["line"], settings["line"]["task"]
    photographs = settings["data_dir"] and Path(settings["data_dir"])
    if TASKS[name].photographs and not photographs:
        sys.exit(f"{name} needs photographs: give --data-dir")
    with tempfile.TemporaryDirectory(dir=settings["folder"]) as work:
        paths = Path(settings["results"]), line, photographs, Path(work)
        TASKS[name].function(Given(*paths, line["rehearsal"]), **line["cell"])


if __name__ == "__main__":
    main()
