"""Writers for torch's graph of a serving model: an ExportedProgram, ONNX."""

import contextlib
import io
import logging
import warnings

from keras_t2t.export import onnx_file
from keras_t2t.export.onnx_int8 import quantize
from keras_t2t.export.reduced_precision import in_precision
from keras_t2t.export.rollout import attention_blocks, outputs_of
from keras_t2t.export.serving_model import output_names


def write_torch(model, path, options):
    """An ExportedProgram: the file `path`, which `torch.export.load` reads."""
    import torch

    model = in_precision(model, options.precision)
    torch.export.save(exported_program(model, options), path)


def write_onnx(model, path, options, with_rollout=False):
    """ONNX, by torch's exporter: the file `path`, with the weights inside.

    Args:
        with_rollout: whether to add an output `rollout` `(batch, rows, columns)`, if
            the model has attention.

    Returns:
        `[rows, columns]` of the rollout, or None.
    """
    import torch

    if options.precision == "float16":
        model = in_precision(model, "float16")
    blocks, grid = attention_blocks(model) if with_rollout else ([], None)
    program = exported_program(model, options, blocks, grid)
    # It warns that torchvision's operators are missing, which we do not need.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        onnx_program = torch.onnx.export(
            program,
            input_names=["image"],
            output_names=[*output_names(model), *(["rollout"] if grid else [])],
            opset_version=onnx_file.exporter_opset(options),
            dynamo=True,
            verbose=False,
        )
        onnx_program.save(str(path), external_data=False)
    if options.precision == "int8":
        quantize(path, options.calibration)
    onnx_file.finish(path, options)
    return grid


def exported_program(model, options, blocks=(), grid=None):
    """The model as a graph of ATen operators: `image` -> dict of the outputs.

    Args:
        blocks: attention layers of the model whose rollout, on a `grid` of (rows,
            columns), is also an output; or none.
    """
    import torch

    class Served(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, image):
            outputs = outputs_of(self.model, image, blocks, grid)
            return {name: value.float() for name, value in outputs.items()}

    # A size of 1 would become a constant of the graph.
    sample = torch.zeros(
        (2 if options.dynamic_batch else 1, *model.inputs[0].shape[1:])
    )
    batch = {0: torch.export.Dim("batch")} if options.dynamic_batch else None
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return torch.export.export(
            Served().eval(), (sample,), dynamic_shapes={"image": batch}, strict=False
        )
