"""ONNX, by torch's exporter."""

import contextlib
import io
import logging
import warnings

from keras_t2t.export.precision import in_precision
from keras_t2t.export.serving_model import output_names
from keras_t2t.export.to_torch import exported_program


def write(model, path, options):
    """Writes the file `path`, weights inside."""
    import torch

    if options.precision == "float16":
        model = in_precision(model, "float16")
    program = exported_program(model, options)
    # It tells that torchvision's operators are not there, which we have no use for.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        onnx_program = torch.onnx.export(
            program,
            input_names=["image"],
            output_names=output_names(model),
            dynamo=True,
            verbose=False,
        )
        onnx_program.save(str(path), external_data=False)
    if options.precision == "int8":
        from keras_t2t.export.onnx_int8 import quantize

        quantize(path, options.calibration)
