"""Compares an exported file, run in its own runtime, with Keras."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_t2t.export import runtimes
from keras_t2t.export.child import run_python
from keras_t2t.export.serving_model import own_output, plain_model

TOLERANCE = 1e-4  # float32: sums in another order, over some hundred layers
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


def verify_file(served, path, format, options, own):
    """Runs the file at `path` and `served` on the images, and compares their outputs.

    `own` is `(model, inputs)`: the original model, which is compared too, and the same
    images as it takes them.
    """
    model, inputs = own
    plain = plain_model(model)
    itself = keras.Model(plain.inputs[0], {own_output(model): plain.outputs[0]})
    expected = {}
    for network, images in ((served, options.images), (itself, inputs)):
        run = runtimes.run_of(network)
        expected |= runtimes.run_in_batches(run, images, KERAS_BATCH)
    batch_size = FILE_BATCH if options.dynamic_batch else 1
    outputs = run_alone(format, path, options.images, batch_size)
    return compare(expected, outputs, exact=options.precision == "float32")


def run_alone(format, path, images, batch_size):
    """The file's outputs, from a process without Keras."""
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "images.npy", Path(folder) / "outputs.npz"
        np.save(inputs, images)
        arguments = (runtimes.__file__, format, path, inputs, batch_size, outputs)
        status, error = run_python(keras.backend.backend(), *arguments)
        if status != 0:
            raise RuntimeError(f"the exported {format} file does not run: {error}")
        with np.load(outputs) as arrays:
            return dict(arrays)


def compare(expected, outputs, exact):
    """The `Verification` of two dicts of arrays; a RuntimeError if their names differ,
    values are not finite, or differ although they must be `exact`."""
    if sorted(expected) != sorted(outputs):
        raise RuntimeError(
            f"the exported file gives {sorted(outputs)} instead of {sorted(expected)}"
        )
    scores = "logits" if "logits" in expected else "features"
    differences = {name: np.abs(expected[name] - outputs[name]) for name in expected}
    largest = float(np.max([value.max() for value in differences.values()]))
    agreement = None
    if scores == "logits":
        same = best_class(expected[scores]) == best_class(outputs[scores])
        agreement = float(same.mean())
    if not np.isfinite(largest):
        raise RuntimeError("the exported file gives values that are not finite")
    if exact and largest > TOLERANCE:
        raise RuntimeError(
            f"the exported file's outputs differ from Keras's by {largest:.1e}, more "
            f"than {TOLERANCE:.0e}"
        )
    mean = float(differences[scores].mean())
    return Verification(largest, mean, agreement, len(expected[scores]))


def best_class(logits):
    """The best class of each image; one logit tells two classes apart."""
    return logits[..., 0] > 0 if logits.shape[-1] == 1 else logits.argmax(-1)
