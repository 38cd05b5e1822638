"""How many images one core prepares in a second, with either reader and with timm.

    KERAS_BACKEND=torch python benchmarks/input_pipeline.py

By turns; timm's transforms are measured where timm is installed. Without --data-dir the
photographs are made from scikit-learn's two: JPEGs of 500 x 375 pixels, ImageNet's
typical size, and of 4032 x 3024 with a sensor's noise (2.2 MB), a phone's. The process
keeps to one core (on Linux), and its processor time counts: on a busy machine that
repeats better than the clock. Reading and decoding are part of every figure. A second
table holds parquet files and tars of the same images to folders. Ends with exit code 1
where a target is not reached.
"""

import argparse
import importlib.util
import io
import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.data_layouts import WRITERS, read_folder
from benchmarks.tables import line, table

LAYOUTS = ("folders", "parquet", "tars")
LAYOUT_TARGET = 0.95  # of what folders give
# Width, height, how many, noise in grey levels, part of --images, target in times timm.
SETS = {
    "ImageNet's": (500, 375, 64, 0, 1, 1.3),
    "a phone's": (4032, 3024, 4, 3, 1 / 16, 5.0),
}
FULL = "full recipe"
KINDS = ("crop and flip", FULL, "evaluation")
IMAGE_SIZE, BATCH_SIZE = 224, 32


def photographs(width, height, number, noise):
    """{path: JPEG}: windows of two photographs, differing before they are resized."""
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_sample_image

    samples = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    random, files = np.random.default_rng(0), {}
    for index in range(number):
        margin = index // 2 * 2
        image = Image.fromarray(samples[index % 2][margin:, margin:])
        image = image.resize((width, height), Image.BICUBIC)
        if noise:
            grain = random.normal(0, noise, (height, width, 1))
            pixels = np.clip(np.asarray(image) + np.round(grain), 0, 255)
            image = Image.fromarray(pixels.astype("uint8"))
        encoded = io.BytesIO()
        image.save(encoded, "JPEG", quality=90)
        for split in ("train", "val"):
            files[f"{split}/photograph/{index}.jpg"] = encoded.getvalue()
    return files


def reader_batches(name, folder, kind, batch_size=BATCH_SIZE):
    """Endless batches of a reader."""
    from keras_t2t import data

    dataset = data.open_dataset(data_dir=folder, reader=name)
    if kind != "evaluation":
        augmentation = data.AUGMENTATIONS["full" if kind == FULL else "light"]
        yield from dataset.train_batches(IMAGE_SIZE, batch_size, 0, augmentation)
    batches = dataset.validation_batches(IMAGE_SIZE, batch_size, pad=True)
    while True:
        yield from batches


def timm_batches(folder, kind, batch_size):
    """Endless batches by timm's transforms, opened as its `ImageDataset` does."""
    import torch
    from PIL import Image, ImageOps
    from timm.data import Mixup, auto_augment, create_transform

    # Pillow refuses 0 bits, which timm draws; black takes no longer.
    auto_augment.NAME_TO_OP["PosterizeIncreasing"] = lambda image, bits, **_: (
        ImageOps.posterize(image, max(bits, 1))
    )
    settings = {"is_training": kind != "evaluation", "interpolation": "bicubic"}
    if kind == FULL:
        settings |= {"interpolation": "random", "auto_augment": "rand-m9-mstd0.5-inc1"}
        settings |= {"re_prob": 0.25, "re_mode": "pixel"}
    elif kind == "evaluation":
        settings["crop_pct"] = 0.9
    transform = create_transform(IMAGE_SIZE, **settings)
    mixup = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, num_classes=2)
    files = itertools.cycle(sorted(folder.glob("train/*/*")))
    labels = torch.zeros(batch_size, dtype=torch.long)
    while True:
        batch = [
            transform(Image.open(file).convert("RGB"))
            for file in itertools.islice(files, batch_size)
        ]
        images = torch.stack(batch)
        yield mixup(images, labels) if kind == FULL else (images, labels)


def processor_rate(stream, images):
    """Images per second of processor time."""
    start, taken = time.process_time(), 0
    while taken < images:
        taken += len(next(stream)[0])
    time.sleep(0.5)  # until the buffers are as full as they were
    return taken / (time.process_time() - start)


def by_turns(streams, images, repeats):
    """{name: rates}, without those of the first turn, which fills the buffers."""
    rates = {name: [] for name in streams}
    for _ in range(repeats + 1):
        for name, stream in streams.items():
            rates[name].append(processor_rate(stream, images))
    return {name: own[1:] for name, own in rates.items()}


def ratio(ours, theirs):
    return statistics.median(map(float.__truediv__, ours, theirs))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--data-dir", type=Path, help="image folder, train/<class>/* and val/<class>/*")
    add("--readers", nargs="+", default=["grain", "tensorflow"])
    add("--images", type=int, default=320, help="per repeat")
    add("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if hasattr(os, "sched_setaffinity"):
        # Before anything counts the cores.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        os.environ["KERAS_HOME"] = str(folder / "keras")
        return measure(folder, arguments)


def sets(arguments):
    """Yields (name, files, part of --images, target in times timm)."""
    if arguments.data_dir:
        yield arguments.data_dir, read_folder(arguments.data_dir), 1, 0
        return
    for name, (*properties, share, target) in SETS.items():
        yield name, photographs(*properties), share, target


def measure(folder, arguments):
    names = list(arguments.readers)
    names += ["timm"] if importlib.util.find_spec("timm") else []
    head = "photographs", "what is done", *names, f"{names[0]} / timm"
    print(table(head, []), end="")
    reached = True
    for number, (called, files, share, target) in enumerate(sets(arguments)):
        place = folder / f"set-{number}"
        WRITERS["folders"](place, files)
        for kind in KINDS:
            batch_size = max(2, int(share * BATCH_SIZE))
            streams = {
                name: reader_batches(name, place, kind, batch_size)
                for name in arguments.readers
            }
            if "timm" in names:
                streams["timm"] = timm_batches(place, kind, batch_size)
            rates = by_turns(streams, share * arguments.images, arguments.repeats)
            cells = [
                f"{statistics.median(own):.3g} ({min(own):.3g} to {max(own):.3g})"
                for own in rates.values()
            ]
            times = ratio(rates[names[0]], rates["timm"]) if "timm" in rates else None
            row = called, kind, *cells, "" if times is None else f"{times:.2f}"
            print(line(row), end="", flush=True)
            if kind == FULL and times is not None:
                reached &= times >= target
    return measure_layouts(folder / "layouts", arguments) and reached


def measure_layouts(folder, arguments):
    """Each layout's part of what folders give, with the full recipe."""
    own = arguments.data_dir
    files = read_folder(own) if own else photographs(*SETS["ImageNet's"][:4])
    for layout in LAYOUTS:
        WRITERS[layout](folder / layout, files)
    print("\n" + table(("reader", *LAYOUTS[1:]), []), end="")
    reached = True
    for name in arguments.readers:
        streams = {
            layout: reader_batches(name, folder / layout, FULL) for layout in LAYOUTS
        }
        rates = by_turns(streams, arguments.images, arguments.repeats)
        parts = [ratio(rates[layout], rates["folders"]) for layout in LAYOUTS[1:]]
        cells = name, *(f"{part:.2f}" for part in parts)
        print(line(cells), end="", flush=True)
        reached &= min(parts) >= LAYOUT_TARGET
    return reached


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
