"""How many images per second one core prepares, in training and in evaluation.

    KERAS_BACKEND=jax python benchmarks/input_pipeline.py

Without --data-dir it makes 500 x 375 JPEGs, ImageNet's typical size, from
scikit-learn's two photographs. The process keeps to one core (on Linux; elsewhere it
uses all of them and says so). Decoding and reading count in every line.
"""

import argparse
import itertools
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

TARGETS = {"full recipe": 150, "evaluation": 180}  # images/s per core at 224 px
WIDTH, HEIGHT = 500, 375


def write_photographs(folder, number=64):
    """Windows of the sample photographs, which differ in size before they are fit."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    photographs = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    for index in range(number):
        photograph = photographs[index % 2]
        margin = index // 2 * 2
        image = Image.fromarray(photograph[margin:, margin:])
        image = image.resize((WIDTH, HEIGHT), Image.BICUBIC)
        for split in ("train", "val"):
            path = folder / split / "photograph" / f"{index}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path, quality=90)


def decoded(data_dir, split):
    """Decoded images, one by one and whole."""
    from keras_t2t.data.tensorflow_reader.decode import decode, tf

    paths = sorted(str(path) for path in Path(data_dir, split).glob("*/*"))
    images = tf.data.Dataset.from_tensor_slices(paths).repeat()
    return images.map(lambda path: tf.size(decode(tf.io.read_file(path)))).batch(1)


def streams(data_dir, image_size, batch_size):
    """Endless streams by name, and how many images one of their elements holds."""
    from keras_t2t import data

    dataset = data.open_dataset(data_dir=data_dir)
    arguments = image_size, batch_size, 0
    light, full = data.AUGMENTATIONS["light"], data.AUGMENTATIONS["full"]
    return {
        "decode only": (decoded(data_dir, "train"), 1),
        "crop and flip": (dataset.train_batches(*arguments, light), batch_size),
        "full recipe": (dataset.train_batches(*arguments, full), batch_size),
        "evaluation": (
            dataset.validation_batches(image_size, batch_size, pad=True).repeat(),
            batch_size,
        ),
    }


def rates(stream, images_each, images, repeats):
    """Images per second, of each repeat, after one that fills the buffers."""
    steps = max(1, images // images_each)
    iterator = iter(stream)
    for repeat in range(repeats + 1):
        start = time.perf_counter()
        for _ in itertools.islice(iterator, steps):
            pass
        if repeat:
            yield steps * images_each / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--data-dir", help="image folder, train/<class>/* and val/<class>/*")
    add("--image-size", type=int, default=224)
    add("--batch-size", type=int, default=32)
    add("--images", type=int, default=320, help="per repeat")
    add("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if hasattr(os, "sched_setaffinity"):
        # Before TensorFlow counts the cores.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        print("images/s on one core")
    else:
        print(f"images/s on all {os.cpu_count()} cores: cannot keep to one here")
    with tempfile.TemporaryDirectory() as folder:
        if arguments.data_dir is None:
            write_photographs(Path(folder))
        data_dir = arguments.data_dir or folder
        cases = streams(data_dir, arguments.image_size, arguments.batch_size)
        reached = True
        for name, (stream, images_each) in cases.items():
            measured = list(
                rates(stream, images_each, arguments.images, arguments.repeats)
            )
            median = statistics.median(measured)
            verdict = ""
            if name in TARGETS:
                met = median >= TARGETS[name]
                reached &= met
                verdict = f"{'reaches' if met else 'BELOW'} {TARGETS[name]}"
            print(
                f"{name:14} {median:6.0f}  ({min(measured):.0f}..{max(measured):.0f})"
                f"  {verdict}",
                flush=True,
            )
    return reached


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
