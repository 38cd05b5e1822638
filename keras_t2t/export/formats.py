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
    """What else writes a format, on another backend than the format's own."""

    backend: str
    write: Callable  # as a format's
    precisions: tuple
    packages: tuple


class Format(NamedTuple):
    """One row: how a model becomes a file of this format."""

    backend: str | None  # of Keras, that writes it; None if any does
    write: Callable  # of a serving model, the path and `Options`, on that backend
    suffix: str  # of the path; "" for a folder
    packages: tuple  # modules that write it
    runtime: str  # module that runs it
    companions: tuple = ()  # suffixes of further files, beside the first
    tells: str = ""  # of a folder: the file that tells this format
    elsewhere: tuple = ()  # of `Writer`, taken where their packages are installed
    precisions: tuple = PRECISIONS[:-1]


class Options(NamedTuple):
    """Plain values: they reach the writing process as JSON."""

    dynamic_batch: bool = True
    precision: str = "float32"
    include_preprocessing: bool = True
    crop: float = 0.9  # of `serve_jpeg`: side of the crop over the resized image's
    interpolation: str = "bicubic"
    exif_orientation: bool = True  # of `serve_jpeg` and the page: whether they turn
    calibration: str | None = None  # .npy file of images as the file takes them
    labels: list | None = None  # names of the classes
    opset: int = OPSET  # of ONNX
    metadata: tuple = ()  # of ONNX: pairs of a name and what JSON can hold

    @property
    def batch_size(self):
        """Of the input's shape: None where it is dynamic."""
        return None if self.dynamic_batch else 1


def write_keras(model, path, options):
    """Keras's own file, of the serving model."""
    in_precision(model, options.precision).save(path)


def by_jax(write):
    return (Writer("jax", write, FLOATS, ("jax2onnx", "onnx")),)


ONNX = ("onnx", "web", "triton")  # what is ONNX within
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
        tells="saved_model.pb",
    ),
    "onnx": Format(
        backend="torch",
        write=torch_formats.write_onnx,
        suffix=".onnx",
        packages=ONNX_PACKAGES,
        runtime="onnxruntime",
        elsewhere=by_jax(jax_formats.write_onnx),
    ),
    "web": Format(
        backend="torch",
        write=partial(write_web, write_onnx=torch_formats.write_onnx),
        suffix="",
        packages=ONNX_PACKAGES,
        runtime="onnxruntime",
        tells=MANIFEST,
        elsewhere=by_jax(partial(write_web, write_onnx=jax_formats.write_onnx)),
    ),
    "triton": Format(
        backend="torch",
        write=partial(write_triton, write_onnx=torch_formats.write_onnx),
        suffix="",
        packages=ONNX_PACKAGES,
        runtime="onnxruntime",
        tells=CONFIG,
        elsewhere=by_jax(partial(write_triton, write_onnx=jax_formats.write_onnx)),
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
            f"`precision` {precision!r} is not there for format={name!r}: it takes "
            f"{' or '.join(row.precisions)}; {precision} is for {', '.join(able)}"
        )
    return row


def writer_for(row, backend, precision):
    """The `Writer` of a row for an active backend, None where the row's own is to be
    taken."""
    for writer in row.elsewhere:
        able = writer.backend == backend and precision in writer.precisions
        if able and not missing(writer.packages):
            return writer
    return None


def missing(modules):
    """Those that are not installed."""
    return [module for module in modules if not importlib.util.find_spec(module)]


def check_installed(name, modules):
    """Raises an ImportError that names the extra if one of `modules` is missing."""
    absent = missing(modules)
    if absent:
        raise ImportError(
            f"format={name!r} needs {' and '.join(absent)}, not installed: "
            'pip install "keras-t2t[export]"',
            name=absent[0],
        )
