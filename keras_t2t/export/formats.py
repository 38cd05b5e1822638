"""The formats: which backend writes a file, with what, and what runs it."""

import importlib
import importlib.util
from typing import NamedTuple

PRECISIONS = ("float32", "float16", "int8")


class Format(NamedTuple):
    """One row: how a model becomes a file of this format."""

    backend: str | None  # of Keras, that writes it; None if any does
    writer: str  # module of this package that writes it
    suffix: str  # of the path; "" for a folder
    packages: tuple  # modules that write it
    runtime: str  # module that runs it
    companions: tuple = ()  # suffixes of further files, beside the first
    precisions: tuple = PRECISIONS

    def write(self, model, path, options):
        """Writes `model`, a serving model, in a process on the row's backend."""
        writer = importlib.import_module(f"keras_t2t.export.{self.writer}")
        return writer.write(model, path, options)


FLOATS = ("float32", "float16")
FORMATS = {
    "tf_saved_model": Format(
        *("tensorflow", "to_saved_model", "", ("tensorflow",), "tensorflow"),
        precisions=FLOATS,
    ),
    "onnx": Format(
        *("torch", "to_onnx", ".onnx", ("torch", "onnxscript", "onnx", "onnxruntime")),
        runtime="onnxruntime",
    ),
    "litert": Format(
        *("tensorflow", "to_litert", ".tflite", ("tensorflow",), "ai_edge_litert"),
    ),
    "openvino": Format(
        *("tensorflow", "to_openvino", ".xml", ("tensorflow", "openvino"), "openvino"),
        companions=(".bin",),
        precisions=FLOATS,
    ),
    "torch": Format(
        *("torch", "to_torch", ".pt2", ("torch",), "torch"), precisions=FLOATS
    ),
    "keras": Format(None, "to_keras", ".keras", (), "keras"),
}


def find_format(name, precision):
    """The row of `FORMATS` called `name`.

    Raises:
        ValueError: if there is none, or it has no such `precision`.
    """
    if name not in FORMATS:
        raise ValueError(f"`format` must be one of {', '.join(FORMATS)}, got {name!r}")
    row = FORMATS[name]
    if precision not in PRECISIONS:
        raise ValueError(
            f"`precision` must be one of {', '.join(PRECISIONS)}, got {precision!r}"
        )
    if precision not in row.precisions:
        able = [name for name, row in FORMATS.items() if precision in row.precisions]
        raise ValueError(
            f"`precision` {precision!r} is not there for format={name!r}: it takes "
            f"{' or '.join(row.precisions)}; {precision} is for {', '.join(able)}"
        )
    return row


def check_installed(name, modules):
    """Raises an ImportError that names the extra if one of `modules` is missing."""
    missing = [module for module in modules if not importlib.util.find_spec(module)]
    if missing:
        raise ImportError(
            f"format={name!r} needs {' and '.join(missing)}, not installed: "
            'pip install "keras-t2t[export]"',
            name=missing[0],
        )
