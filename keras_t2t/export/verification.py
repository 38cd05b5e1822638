"""An exported file in its own runtime, against Keras."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_t2t.export import runtimes
from keras_t2t.export.rebuilding import child_environment

TOLERANCE = 1e-4  # float32: the order of sums, over some hundred layers
TOP = 5
KERAS_BATCH = 8
FILE_BATCH = 3  # two sizes for four photographs, neither of them the traced one


class Verification(NamedTuple):
    """How far a file's outputs are from Keras's."""

    max_difference: float  # of all outputs
    mean_difference: float  # of the logits, or the features
    top1_agreement: float | None  # share of images with the same best class
    images: int

    def __str__(self):
        text = f"max |difference| {self.max_difference:.1e}"
        if self.top1_agreement is not None:
            text += f", top-1 agreement {self.top1_agreement:.0%}"
        return f"{text} on {self.images} images"


def verify_file(served, path, format, options, images, own=None):
    """Runs the file at `path` and `served` on `images` and compares.

    Args:
        served: the serving model, in float32.
        own: the name of an output, the model itself, which gives it, and the images as
            that model takes them: the file is compared with what it gives.
        images: array `(images, height, width, channels)`, as the file takes them.

    Returns:
        `Verification`.

    Raises:
        RuntimeError: if the file cannot be run, or in float32 is not the model.
    """
    expected = keras_outputs(served, images)
    if own is not None:
        name, model, inputs = own
        itself = keras.Model(model.inputs[0], {name: model.outputs[0]})
        expected |= keras_outputs(itself, inputs)
    batch_size = FILE_BATCH if options.dynamic_batch else 1
    outputs = run_alone(format, path, images, batch_size)
    return compare(expected, outputs, exact=options.precision == "float32")


def keras_outputs(model, images):
    """Dict of arrays, of a model that gives a dict."""
    return runtimes.run_in_batches(
        lambda batch: {
            name: keras.ops.convert_to_numpy(value)
            for name, value in model.predict_on_batch(batch).items()
        },
        images,
        KERAS_BATCH,
    )


def run_alone(format, path, images, batch_size):
    """The file's outputs, from a process that has no Keras."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "images.npy", Path(folder) / "outputs.npz"
        np.save(inputs, images)
        done = subprocess.run(
            # -P: the files beside this script are no modules of its own.
            [
                *(sys.executable, "-P", runtimes.__file__),
                *(format, str(path), inputs, str(batch_size), outputs),
            ],
            capture_output=True,
            text=True,
            env=child_environment(keras.backend.backend()),
        )
        if done.returncode != 0:
            said = done.stderr.strip()[-2000:]
            raise RuntimeError(f"the exported {format} file does not run: {said}")
        with np.load(outputs) as arrays:
            return dict(arrays)


def compare(expected, outputs, exact):
    """`Verification` of two dicts of arrays; a RuntimeError if `exact` and they differ.

    Two classes whose scores are closer than the tolerance may change places.
    """
    if sorted(expected) != sorted(outputs):
        raise RuntimeError(
            f"the exported file gives {sorted(outputs)} instead of {sorted(expected)}"
        )
    scores = "logits" if "logits" in expected else "features"
    differences = {
        name: np.abs(expected[name] - outputs[name]) for name in sorted(expected)
    }
    largest = float(max(value.max() for value in differences.values()))
    agreement = None
    if scores == "logits":
        same = expected[scores].argmax(-1) == outputs[scores].argmax(-1)
        agreement = float(same.mean())
    if not np.isfinite(largest):
        raise RuntimeError("the exported file gives values that are not finite")
    if exact and largest > TOLERANCE:
        raise RuntimeError(
            f"the exported file's outputs differ from Keras's by {largest:.1e}, more "
            f"than {TOLERANCE:.0e}"
        )
    if exact and scores == "logits" and not same_top(expected[scores], outputs[scores]):
        raise RuntimeError(
            f"the exported file names other top-{TOP} classes than Keras"
        )
    mean = float(differences[scores].mean())
    return Verification(largest, mean, agreement, len(expected[scores]))


def same_top(expected, scores):
    """Whether the best classes by `scores` are the best by `expected`, in order."""
    best = np.argsort(-expected, axis=-1)[:, :TOP]
    named = np.argsort(-scores, axis=-1)[:, :TOP]
    gap = np.abs(
        np.take_along_axis(expected, best, -1) - np.take_along_axis(expected, named, -1)
    )
    return gap.max() <= 2 * TOLERANCE
