"""Exports a model from any backend to any format."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import NamedTuple

import keras

from keras_t2t._ground.arguments import (
    brief,
    check_choice,
    check_flags,
    check_path,
    check_share,
    is_integer,
    python_numbers,
)
from keras_t2t._ground.files import read_class_names, replacing
from keras_t2t._ground.types import Array, FilePath, Format, Interpolation, Precision
from keras_t2t.export.child import write_in_child
from keras_t2t.export.formats import (
    FORMATS,
    ONNX,
    Options,
    check_installed,
    find_format,
    writer_of,
)
from keras_t2t.export.onnx_format import OPSET, OPSETS
from keras_t2t.export.photographs import calibration_images, photographs
from keras_t2t.export.serving_model import check_model, serving_model
from keras_t2t.export.verification import Verification, verify_file
from keras_t2t.models.pixel_input import takes_pixels as takes_pixels_itself
from keras_t2t.preprocessing import preprocess_input


class ExportReport(NamedTuple):
    """The result of an export."""

    path: Path
    format: str
    precision: str
    written_on: str  # Keras backend
    bytes: int
    seconds: float
    verification: Verification | None


@python_numbers  # a child process and the page get them as JSON
def export_model(
    model: keras.Model,
    path: FilePath,
    format: Format = "tf_saved_model",
    include_preprocessing: bool = True,
    dynamic_batch: bool = True,
    precision: Precision = "float32",
    verify: bool = True,
    overwrite: bool = False,
    labels: Sequence[str] | None = None,
    calibration: FilePath | Array | None = None,
    crop: float = 0.9,
    interpolation: Interpolation = "bicubic",
    verbose: bool = True,
    takes_pixels: bool | None = None,
    exif_orientation: bool = True,
    opset: int | None = None,
) -> ExportReport:
    """Writes a model for another runtime, from any backend.

    If the active backend cannot write the format, or TensorFlow or torch runs on an
    accelerator, the model is rebuilt from a saved file in a child process, on the CPU
    of a backend that can.

    The file takes `image`, float32 `(batch, height, width, channels)` of the model's
    size, and gives `logits` and `probabilities`, float32 `(batch, classes)`; a model
    that does not end in a Dense or an Activation gives `features`. A SavedModel with
    the preprocessing inside also has the signatures `serve_uint8` (`image` in uint8)
    and `serve_jpeg` (`image_bytes`, strings `(batch,)`: files of any size, resized and
    cropped as in evaluation).

    Args:
        model: functional `keras.Model` with one image as input and one output, such as
            the models of this package. It is not changed.
        path: where to write: a folder for `"tf_saved_model"`, `"web"` and `"triton"`;
            else a file ending in `.onnx`, `.tflite`, `.xml` (with a `.bin` beside),
            `.pt2` or `.keras`; a missing ending is added.
        format: `"tf_saved_model"`, `"onnx"`, `"web"` (a page that runs the ONNX in the
            browser), `"triton"` (ONNX with Triton's configuration), `"litert"`,
            `"openvino"`, `"torch"` (an ExportedProgram) or `"keras"`.
        include_preprocessing: whether the file takes RGB pixels 0..255 and
            standardises them itself: as the model does, if it does (see
            `takes_pixels`), else with ImageNet's mean and standard deviation. If False
            the file takes what `model` takes, such as the result of
            `keras_t2t.preprocess_input`.
        dynamic_batch: whether the file takes any batch size; otherwise one image.
        precision: `"float32"`; `"float16"`, with float32 inputs and outputs; `"int8"`,
            for LiteRT (weights, with dynamic activations), ONNX (weights and
            activations, needs `calibration`) and Keras (`model.quantize("int8")`); or
            `"int4"`, for Keras (weights).
        verify: whether to run the file in its own runtime on photographs and compare
            its outputs with those of `model` in Keras. In float32 they must agree to
            1e-4; in other precisions the differences are reported, over `calibration`
            if given.
        overwrite: whether to replace an existing `path`, once the new one is complete,
            and the class names beside it.
        labels: None, or a list of class names, stored beside a file in
            `<name>.classes.json`, in a folder in `assets.extra/classes.json`, or in the
            page.
        calibration: None, or a folder of images (128 of them are used), or a uint8
            array `(images, height, width, 3)`.
        crop, interpolation: for `serve_jpeg`, the page and calibration folders, as in
            `keras_t2t.preprocessing.evaluation_transform`.
        verbose: whether to print one line of progress.
        takes_pixels: whether `model` itself takes pixels 0..255. None: the layers
            between its input and its first trainable layer decide (Rescaling,
            Normalization, arithmetic, also in nested models).
        exif_orientation: whether photographs are turned as their EXIF data says, in
            `serve_jpeg`, the page and calibration folders.
        opset: ONNX operator set, also in the page and for Triton: 17 to 20. None: 20;
            17 is for runtimes from before 2023.

    Returns:
        `ExportReport`: path, size, time and the result of the verification.

    Raises:
        ValueError: if an argument is out of range, `path` exists without `overwrite`,
            the model is of another kind or quantized, its layers do not decide whether
            it takes pixels, or one of them cannot be rebuilt; the message names it.
            Nothing is written then.
        ImportError: if the converter or the runtime is not installed.
        RuntimeError: if the converter fails, or the file's outputs are not Keras's.
    """
    check_flags(
        include_preprocessing=include_preprocessing,
        dynamic_batch=dynamic_batch,
        verify=verify,
        overwrite=overwrite,
        verbose=verbose,
        exif_orientation=exif_orientation,
    )
    check_path("path", path)
    check_share("crop", crop)
    check_choice("interpolation", interpolation, ("bicubic", "bilinear"))
    row = find_format(format, precision)
    opset = checked_opset(opset, format)
    path = checked_path(path, format, row, overwrite)
    backend, packages = writer_of(format, precision)
    check_installed(format, (*packages, *([row.runtime] * verify)))
    check_model(model)
    if include_preprocessing:
        takes_pixels = takes_pixels_itself(model, takes_pixels)
    served = serving_model(model, include_preprocessing, takes_pixels)
    check_fits_format(served, format, precision, include_preprocessing, calibration)
    shape = served.inputs[0].shape[1:]
    transform = crop, interpolation, exif_orientation
    images = calibration_images(calibration, shape, *transform)
    if images is None and verify:
        images = photographs(shape)
    images = as_input(images, include_preprocessing)
    labels = checked_labels(labels, model, served)
    check_names_beside(path, row, labels, overwrite)
    options = Options(
        dynamic_batch,
        precision,
        include_preprocessing,
        *transform,
        images,
        labels,
        opset,
    )
    own = None
    if verify:
        standardise = include_preprocessing and not takes_pixels
        own = model, preprocess_input(images) if standardise else images
    here = row.backend is None or (
        backend == keras.backend.backend() and not on_accelerator()
    )
    start, outcome = time.perf_counter(), "failed"
    if verbose:
        where = backend if here else f"{backend}, in a child process"
        print(f"Exporting {model.name} -> {format} ({where}) ... ", end="", flush=True)
    try:
        size, checked = write(format, served, path, options, here, own)
        seconds = time.perf_counter() - start
        outcome = (
            f"{path}, {size / 1e6:.1f} MB, {pixels_taken(options, takes_pixels)}, "
            f"{checked or 'not verified'}, {seconds:.0f} s"
        )
    finally:
        if verbose:
            print(outcome)
    return ExportReport(path, format, precision, backend, size, seconds, checked)


# === Arguments ===
def checked_path(path, format, row, overwrite):
    """`path` as a Path with its ending; a ValueError if it cannot be written."""
    path = Path(path)
    if row.suffix and path.name and not path.suffix:
        path = path.with_name(path.name + row.suffix)
    if row.suffix and path.suffix != row.suffix:
        raise ValueError(
            f"`path` must end in {row.suffix} for format={format!r}, got {str(path)!r}"
        )
    if not path.parent.is_dir():
        raise ValueError(f"`path` must be in an existing folder, got {str(path)!r}")
    files = [path, *(path.with_suffix(suffix) for suffix in row.companions)]
    taken = [str(file) for file in files if file.exists()]
    if taken and not overwrite:
        raise ValueError(
            f"`path` exists: {', '.join(taken)}; overwrite=True replaces it"
        )
    if overwrite and path.is_dir() and not (path / row.marker).is_file():
        raise ValueError(
            f"`path` is a folder without an export of format={format!r}, and is not "
            f"replaced: {path}"
        )
    return path


def checked_labels(labels, model, served):
    """`labels` as a list with a name for each class, or None."""
    if labels is None:
        return None
    no_list = isinstance(labels, (str, bytes, Mapping, Set))
    if no_list or not isinstance(labels, Iterable):
        raise ValueError(f"`labels` must be a list of names, got {brief(labels)}")
    labels = [str(label) for label in labels]
    if len(served.outputs) == 1:
        last = model.outputs[0]._keras_history.operation
        nested = isinstance(last, keras.Model)
        advice = f": export model.get_layer({last.name!r})" if nested else ""
        raise ValueError(
            "`labels` are for a model that ends in a Dense or an Activation, got "
            f"{model.name}, which ends in {last.name}{advice}"
        )
    classes = served.outputs[0].shape[-1]
    both = classes == 1 and len(labels) == 2  # of which one output is the second
    if len(labels) != classes and not both:
        raise ValueError(
            f"`labels` must name the model's {classes} classes, got {len(labels)} names"
        )
    return labels


def check_names_beside(path, row, labels, overwrite):
    """Raises a ValueError if other class names are beside the file `path`: perhaps
    those of another format."""
    file = names_file(path)
    if overwrite or not row.suffix:
        return
    try:
        kept = read_class_names(file) if file.exists() else labels
    except (OSError, ValueError):
        kept = ()
    if kept != labels:
        raise ValueError(
            f"`path` exists with other `labels`: {file}; overwrite=True replaces it"
        )


def checked_opset(opset, format):
    """The operator set to write; a ValueError if it is unknown, or not for `format`."""
    if opset is None:
        return OPSET
    if not is_integer(opset) or opset not in OPSETS:
        raise ValueError(f"`opset` must be one of {OPSETS} or None, got {brief(opset)}")
    if format not in ONNX:
        raise ValueError(f"`opset` is for format={', '.join(ONNX)}, not {format!r}")
    return opset


def check_fits_format(served, format, precision, include_preprocessing, calibration):
    """Raises a ValueError for what a format cannot be without."""
    if format == "web" and len(served.outputs) != 2:
        raise ValueError("format='web' needs a `model` that ends in a Dense")
    if format == "web" and not include_preprocessing:
        raise ValueError("format='web' needs include_preprocessing=True, got False")
    channels = served.inputs[0].shape[-1]
    if format == "web" and channels != 3:
        raise ValueError(
            "format='web' needs a `model` of 3 channels (RGB), as photographs have, "
            f"got one of {channels}"
        )
    if format == "web" and served.outputs[0].shape[-1] == 1:
        raise ValueError(
            "format='web' needs a `model` of at least 2 outputs, got 1, which the page "
            "would always show as the best class"
        )
    if precision == "int8" and format in ONNX and calibration is None:
        raise ValueError(
            "`calibration` must be a folder of images or an array for "
            f"format={format!r} with precision='int8', got None"
        )


# === Steps ===
def write(format, served, path, options, here, own):
    """Writes a file, `here` or in a child process, and, unless `own` is None, verifies
    it before it is in its place; its size in bytes, and a `Verification` or None."""
    with replacing(path) as temporary:
        if here:
            FORMATS[format].write(served, temporary, options)
        else:
            write_in_child(format, served, temporary, options)
        if format != "web":  # its page has them
            write_labels(options.labels, temporary)
        checked = own and verify_file(served, temporary, format, options, own)
        files = [file for file in temporary.parent.rglob("*") if file.is_file()]
        size = sum(file.stat().st_size for file in files)
    if path.is_file() and options.labels is None:
        names_file(path).unlink(missing_ok=True)  # those of the file that was replaced
    return size, checked


def pixels_taken(options, takes_pixels):
    """What the file takes, for the printed line."""
    if not options.include_preprocessing:
        return "takes the model's own input"
    by = "the model itself" if takes_pixels else "ImageNet's mean and deviation"
    return f"takes pixels, standardised by {by}"


def on_accelerator():
    """Whether the active backend has the weights on a GPU; torch also on another
    accelerator."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.accelerator.is_available()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    return False


def as_input(images, include_preprocessing):
    """uint8 images as input of the file: unchanged, or standardised; or None."""
    if images is None or include_preprocessing:
        return images
    if images.shape[-1] == 3:
        return preprocess_input(images)
    return images.astype("float32") / 128 - 1


def write_labels(labels, path):
    """Writes them into a SavedModel's `assets.extra`, or beside a file."""
    if labels is None:
        return
    file = names_file(path)
    if path.is_dir():
        (path / "assets.extra").mkdir(exist_ok=True)
        file = path / "assets.extra" / "classes.json"
    text = json.dumps(labels, indent=0, ensure_ascii=False)
    file.write_text(text, encoding="utf-8")


def names_file(path):
    """Where the class names of the file `path` are."""
    return path.with_name(f"{path.stem}.classes.json")
