"""The formats: which backend writes a file, with what, and what runs it."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import keras

from keras_t2t._ground.arguments import check_choice
from keras_t2t._ground.optional_imports import is_installed
from keras_t2t._ground.run_files import MANIFEST
from keras_t2t.export.keras_formats import (
    write_keras,
    write_litert,
    write_openvino,
    write_saved_model,
    write_torch,
)
from keras_t2t.export.onnx_format import OPSET, write_onnx
from keras_t2t.export.triton import CONFIG, write_triton
from keras_t2t.export.web import write_web

FLOATS = ("float32", "float16")
WITH_INT8 = (*FLOATS, "int8")
PRECISIONS = (*WITH_INT8, "int4")


class Format(NamedTuple):
    """One row: how a model becomes a file of this format."""

    write: Callable  # function of a serving model, a path and `Options`
    backend: str | None  # Keras backend that writes it; None: any
    packages: tuple  # modules needed to write it
    runtime: str  # module that runs it
    precisions: tuple = FLOATS
    suffix: str = ""  # of the path; "" for a folder
    companions: tuple = ()  # suffixes of further files beside the first
    marker: str = ""  # in a folder: the file by which this format is recognized


class Options(NamedTuple):
    """Plain values, which reach a child process as JSON; the images as a file."""

    dynamic_batch: bool = True
    precision: str = "float32"
    include_preprocessing: bool = True
    crop: float = 0.9  # for `serve_jpeg`: side of the crop over the resized image's
    interpolation: str = "bicubic"
    exif_orientation: bool = True  # whether `serve_jpeg` and the page turn images
    images: Any = None  # inputs (images, height, width, channels), to calibrate, verify
    labels: list | None = None  # names of the classes
    opset: int = OPSET  # of ONNX

    @property
    def batch_size(self):
        """The batch size in the input's shape, None if dynamic."""
        return None if self.dynamic_batch else 1


ONNX = ("onnx", "web", "triton")  # formats that contain an ONNX file
ONNX_BY_TORCH = ("torch", "onnxscript", "onnx", "onnxruntime")
ONNX_BY_JAX = ("jax2onnx", "onnx")
of_onnx = partial(
    Format,
    backend="torch",
    packages=ONNX_BY_TORCH,
    runtime="onnxruntime",
    precisions=WITH_INT8,
)
by_tensorflow = partial(Format, backend="tensorflow", packages=("tensorflow",))
FORMATS = {
    "tf_saved_model": by_tensorflow(
        write_saved_model, runtime="tensorflow", marker="saved_model.pb"
    ),
    "onnx": of_onnx(write_onnx, suffix=".onnx"),
    "web": of_onnx(write_web, marker=MANIFEST),
    "triton": of_onnx(write_triton, marker=CONFIG),
    "litert": by_tensorflow(
        write_litert, runtime="ai_edge_litert", precisions=WITH_INT8, suffix=".tflite"
    ),
    "openvino": by_tensorflow(
        write_openvino,
        packages=("tensorflow", "openvino"),
        runtime="openvino",
        suffix=".xml",
        companions=(".bin",),
    ),
    "torch": Format(write_torch, "torch", ("torch",), "torch", suffix=".pt2"),
    "keras": Format(write_keras, None, (), "keras", PRECISIONS, ".keras"),
}


def find_format(name, precision):
    """The row of `FORMATS` called `name`, which must have such a `precision`."""
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


def writer_of(name, precision):
    """The Keras backend that writes a format here, and the modules that it needs."""
    row, active = FORMATS[name], keras.backend.backend()
    by_jax = active == "jax" and name in ONNX and precision in FLOATS
    if by_jax and all(map(is_installed, ONNX_BY_JAX)):
        return active, ONNX_BY_JAX
    return row.backend or active, row.packages


def check_installed(name, modules):
    """Raises an ImportError that names the extra if one of `modules` is missing."""
    absent = [module for module in modules if not is_installed(module)]
    if absent:
        raise ImportError(
            f"format={name!r} needs {' and '.join(absent)}, which is not installed: "
            'pip install "keras-t2t[export]"',
            name=absent[0],
        )
