"""How many images one core prepares in a second, with either reader.

    KERAS_BACKEND=jax python benchmarks/input_pipeline.py

From folders, parquet files and tars of the same images, by turns. Without --data-dir
they are 500 x 375 JPEGs, ImageNet's typical size, made from scikit-learn's two
photographs. The process keeps to one core (on Linux), and its processor time counts:
on a busy machine that repeats better than the clock. Reading and decoding are part of
every figure. Ends with exit code 1 where a target is not reached.
"""

import argparse
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

LAYOUTS = ("folders", "parquet", "tars")
TARGET = 150  # images/s per core at 224 px, with the full recipe
LAYOUT_TARGET = 0.95  # of what folders give
WIDTH, HEIGHT = 500, 375


def photographs(number=64):
    """{path: JPEG}: windows of two photographs, differing before they are resized."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    samples = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    files = {}
    for index in range(number):
        margin = index // 2 * 2
        image = Image.fromarray(samples[index % 2][margin:, margin:])
        encoded = io.BytesIO()
        image.resize((WIDTH, HEIGHT), Image.BICUBIC).save(encoded, "JPEG", quality=90)
        for split in ("train", "val"):
            files[f"{split}/photograph/{index}.jpg"] = encoded.getvalue()
    return files


def decoded(dataset):
    """Endless batches of one decoded image each, whole, and None."""
    import numpy as np

    split = dataset._source.train
    if dataset.reader == "grain":
        from keras_t2t._ground.images import decode_rgb

        for index in itertools.cycle(range(len(split))):
            yield np.asarray(decode_rgb(split.read(index)))[None], None
    else:
        from keras_t2t.data.tensorflow_reader.pixels import JPEG, tf

        def pixels(index):
            encoded = tf.numpy_function(split.read, [index], tf.string)
            return tf.io.decode_jpeg(tf.ensure_shape(encoded, ()), **JPEG)

        indices = tf.data.Dataset.range(len(split)).repeat()
        for image in indices.map(pixels):
            yield image[None], None


def streams(dataset, image_size, batch_size):
    """{what is done: endless batches}."""
    from keras_t2t.data import AUGMENTATIONS

    def evaluated():
        batches = dataset.validation_batches(image_size, batch_size, pad=True)
        while True:
            yield from batches

    arguments = image_size, batch_size, 0
    light, full = AUGMENTATIONS["light"], AUGMENTATIONS["full"]
    return {
        "decode only": decoded(dataset),
        "crop and flip": iter(dataset.train_batches(*arguments, light)),
        "full recipe": iter(dataset.train_batches(*arguments, full)),
        "evaluation": evaluated(),
    }


def processor_rate(stream, images):
    """Images per second of processor time."""
    start, taken = time.process_time(), 0
    while taken < images:
        taken += len(next(stream)[0])
    time.sleep(0.5)  # until the buffers are as full as they were
    return taken / (time.process_time() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--data-dir", type=Path, help="image folder, train/<class>/* and val/<class>/*")
    add("--image-size", type=int, default=224)
    add("--batch-size", type=int, default=32)
    add("--images", type=int, default=320, help="per repeat")
    add("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if hasattr(os, "sched_setaffinity"):
        # Before anything counts the cores.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    files = read_folder(arguments.data_dir) if arguments.data_dir else photographs()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        os.environ["KERAS_HOME"] = str(folder / "keras")
        for layout in LAYOUTS:
            WRITERS[layout](folder / layout, files)
        return measure(folder, arguments)


def measure(folder, arguments):
    from keras_t2t import data
    from keras_t2t.data.readers import READERS

    reached = True
    print("| reader | what is done | images/s per core | parquet | tars |")
    print("| --- | --- | --- | --- | --- |")
    for reader in READERS:
        made = {
            layout: streams(
                data.open_dataset(data_dir=folder / layout, reader=reader),
                arguments.image_size,
                arguments.batch_size,
            )
            for layout in LAYOUTS
        }
        for kind in made["folders"]:
            rates = {layout: [] for layout in LAYOUTS}
            for _ in range(arguments.repeats + 1):
                for layout in LAYOUTS:
                    stream = made[layout][kind]
                    rates[layout].append(processor_rate(stream, arguments.images))
            rates = {name: own[1:] for name, own in rates.items()}  # buffers are full
            base = rates["folders"]
            ratios = [
                statistics.median(map(float.__truediv__, rates[layout], base))
                for layout in LAYOUTS[1:]
            ]
            print(
                f"| {reader} | {kind} | {statistics.median(base):.0f} "
                f"({min(base):.0f} to {max(base):.0f}) | "
                + " | ".join(f"{ratio:.2f}" for ratio in ratios)
                + " |",
                flush=True,
            )
            if kind == "full recipe":
                reached &= statistics.median(base) >= TARGET
                reached &= min(ratios) >= LAYOUT_TARGET
    return reached


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
