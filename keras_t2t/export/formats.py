"""The formats: which backend writes a file, with what, and what runs it."""

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from keras_t2t._ground.arguments import check_choice
from keras_t2t.export import jax_formats, torch_formats
from keras_t2t.export.onnx_file import OPSET
from keras_t2t.export.reduced_precision import in_precision
from keras_t2t.export.tensorflow_formats import (
    write_litert,
    write_openvino,
    write_saved_model,
)
from keras_t2t.export.triton import CONFIG, write_triton
from keras_t2t.export.web import MANIFEST, write_web

PRECISIONS = ("float32", "float16", "int8", "int4")


class Writer(NamedTuple):
    """An alternative writer of a format, on another backend than the format's own."""

    backend: str
    write: Callable  # as in `Format`
    precisions: tuple
    packages: tuple


class Format(NamedTuple):
    """One row: how a model becomes a file of this format."""

    backend: str | None  # Keras backend that writes it; None: any
    write: Callable  # function of a serving model, a path and `Options`
    suffix: str  # of the path; "" for a folder
    packages: tuple  # modules needed to write it
    runtime: str  # module that runs it
    companions: tuple = ()  # suffixes of further files beside the first
    marker: str = ""  # in a folder: the file by which this format is recognized
    alternatives: tuple = ()  # of `Writer`, used if their packages are installed
    precisions: tuple = PRECISIONS[:-1]


class Options(NamedTuple):
    """Plain values, which reach a child process as JSON."""

    dynamic_batch: bool = True
    precision: str = "float32"
    include_preprocessing: bool = True
    crop: float = 0.9  # for `serve_jpeg`: side of the crop over the resized image's
    interpolation: str = "bicubic"
    exif_orientation: bool = True  # whether `serve_jpeg` and the page turn images
    calibration: str | None = None  # .npy file of input images
    labels: list | None = None  # names of the classes
    opset: int = OPSET  # of ONNX
    metadata: tuple = ()  # of ONNX: pairs of a name and a JSON value

    @property
    def batch_size(self):
        """The batch size in the input's shape, None if dynamic."""
        return None if self.dynamic_batch else 1


def write_keras(model, path, options):
    """The serving model as a `.keras` file."""
    in_precision(model, options.precision).save(path)


def by_jax(write):
    return (Writer("jax", write, FLOATS, ("jax2onnx", "onnx")),)


ONNX = ("onnx", "web", "triton")  # formats that contain an ONNX file
FLOATS = ("float32", "float16")
ONNX_PACKAGES = ("torch", "onnxscript", "onnx", "onnxruntime")
FORMATS = {
    "tf_saved_model": Format(
        backend="tensorflow",
        write=write_saved_model,
        suffix="",
        packages=("tensorflow",),
        runtime="tensorflow",
        precisions=FLOATS,
        marker="saved_model.pb",
    ),
    "onnx": Format(
        backend="torch",
        write=torch_formats.write_onnx,
        suffix=".onnx",
        packages=ONNX_PACKAGES,
        runtime="onnxruntime",
        alternatives=by_jax(jax_formats.write_onnx),
    ),
    "web": Format(
        backend="torch",
        write=partial(write_web, write_onnx=torch_formats.write_onnx),
        suffix="",
        packages=ONNX_PACKAGES,
        runtime="onnxruntime",
        marker=MANIFEST,
        alternatives=by_jax(partial(write_web, write_onnx=jax_formats.write_onnx)),
    ),
    "triton": Format(
        backend="torch",
        write=partial(write_triton, write_onnx=torch_formats.write_onnx),
        suffix="",
        packages=ONNX_PACKAGES,
        runtime="onnxruntime",
        marker=CONFIG,
        alternatives=by_jax(partial(write_triton, write_onnx=jax_formats.write_onnx)),
    ),
    "litert": Format(
        backend="tensorflow",
        write=write_litert,
        suffix=".tflite",
        packages=("tensorflow",),
        runtime="ai_edge_litert",
    ),
    "openvino": Format(
        backend="tensorflow",
        write=write_openvino,
        suffix=".xml",
        packages=("tensorflow", "openvino"),
        runtime="openvino",
        companions=(".bin",),
        precisions=FLOATS,
    ),
    "torch": Format(
        backend="torch",
        write=torch_formats.write_torch,
        suffix=".pt2",
        packages=("torch",),
        runtime="torch",
        precisions=FLOATS,
    ),
    "keras": Format(
        backend=None,
        write=write_keras,
        suffix=".keras",
        packages=(),
        runtime="keras",
        precisions=PRECISIONS,
    ),
}


def find_format(name, precision):
    """The row of `FORMATS` called `name`.

    Raises:
        ValueError: if there is none, or it has no such `precision`.
    """
    check_choice("format", name, FORMATS)
    row = FORMATS[name]
    check_choice("precision", precision, PRECISIONS)
    if precision not in row.precisions:
        able = [name for name, row in FORMATS.items() if precision in row.precisions]
        raise ValueError(
            f"`precision` must be {' or '.join(row.precisions)} for format={name!r}, "
            f"got {precision!r}, which is for {', '.join(able)}"
        )
    return row


def writer_for(row, backend, precision):
    """The alternative `Writer` to use on a backend, None for the format's own."""
    for writer in row.alternatives:
        able = writer.backend == backend and precision in writer.precisions
        if able and not missing(writer.packages):
            return writer
    return None


def missing(modules):
    """Those of `modules` that are not installed."""
    return [module for module in modules if not importlib.util.find_spec(module)]


def check_installed(name, modules):
    """Raises an ImportError that names the extra if one of `modules` is missing."""
    absent = missing(modules)
    if absent:
        raise ImportError(
            f"format={name!r} needs {' and '.join(absent)}, which is not installed: "
            'pip install "keras-t2t[export]"',
            name=absent[0],
        )
