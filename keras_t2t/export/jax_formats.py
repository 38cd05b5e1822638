"""Writes ONNX from JAX's graph of a serving model with jax2onnx, without torch."""

import contextlib
import io
import logging
import warnings

from keras_t2t.export import onnx_file
from keras_t2t.export.reduced_precision import in_precision
from keras_t2t.export.rollout import attention_blocks, outputs_of
from keras_t2t.export.serving_model import output_names


def write_onnx(model, path, options, with_rollout=False):
    """As `torch_formats.write_onnx`, in float32 or float16."""
    import jax2onnx
    import onnx

    if options.precision == "float16":
        model = in_precision(model, "float16")
    blocks, grid = attention_blocks(model) if with_rollout else ([], None)
    names = [*output_names(model), *(["rollout"] if grid else [])]

    def served(image):
        outputs = outputs_of(model, image, blocks, grid)
        return tuple(outputs[name].astype("float32") for name in names)

    batch = "batch" if options.dynamic_batch else 1
    # It warns about missing types, which runtimes infer.
    logging.getLogger("onnx_ir").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        onnx_model = jax2onnx.to_onnx(
            served,
            [(batch, *model.inputs[0].shape[1:])],
            opset=onnx_file.exporter_opset(options),
            input_names=["image"],
            output_names=names,
        )
    onnx.save(onnx_model, path)
    onnx_file.finish(path, options)
    return grid
