"""Writes ONNX from torch's or JAX's graph of a serving model.

Keras's own export (3.15) names no outputs and, on torch, fails for a dynamic batch.
"""

import contextlib
import io
import json
import logging
import warnings

import keras

from keras_t2t._ground.version import __version__
from keras_t2t.checkpoints.standardization import standardization_of
from keras_t2t.export.onnx_int8 import quantize
from keras_t2t.export.rollout import attention_blocks, inputs_of, rollout_of
from keras_t2t.export.serving_model import in_precision, output_names

OPSETS = (17, 18, 19, 20)
OPSET = 20  # from 2023; 17, from 2022, is read by ONNX Runtime from 1.12 on
EXPORTED = 18  # the lowest that both exporters write
CALIBRATION_BATCH = 4  # of a graph that takes any
# Operators whose axes are an input from 18 on, and an attribute before. (ReduceSum's
# are an input in both.)
REDUCTIONS = ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare")


def write_onnx(model, path, options, with_rollout=False):
    """ONNX: the file `path`, with the weights inside; int8 only on torch.

    `with_rollout` adds an output `rollout` `(batch, rows, columns)` if the model has
    attention. Returns `[rows, columns]`, or None.
    """
    metadata = metadata_of(model, options)
    if options.precision == "float16":
        model = in_precision(model, "float16")
    blocks, grid = attention_blocks(model) if with_rollout else ([], None)
    names = [*output_names(model), *(["rollout"] if grid else [])]
    convert = by_jax if keras.backend.backend() == "jax" else by_torch

    def serve(image):
        with inputs_of(blocks) as called:
            outputs = model(image, training=False)
        if grid:
            outputs = {**outputs, "rollout": rollout_of(called, grid)}
        return tuple(outputs[name] for name in names)

    # They warn about what we do not need: missing types, torchvision's operators.
    for logger in ("onnx_ir", "torch.onnx"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        convert(model, serve, names, path, options)
    if options.precision == "int8":
        quantize(path, options.images, options.batch_size or CALIBRATION_BATCH)
    finish(path, options.opset, metadata)
    return grid


def metadata_of(model, options):
    """What the file says of the model: a dict of texts, all but the plain ones JSON."""
    image = "RGB 0..255" if model.inputs[0].shape[-1] == 3 else "0..255"
    mean, std = standardization_of(model) or (None, None)
    if not options.include_preprocessing:  # its owner knows what that is
        image, mean, std = "the model's own input", None, None
    metadata = {
        "model": model.name,
        "image_size": model.inputs[0].shape[1:3],  # (height, width)
        "image": image,
        "mean": mean,
        "std": std,
        "crop": options.crop,
        "interpolation": options.interpolation,
        "classes": options.labels,
    }
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in metadata.items()
        if value is not None
    }


def by_torch(model, serve, names, path, options):
    """Writes torch's graph of `serve`, a function of the image that uses `model`."""
    import torch

    class Served(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model  # whose weights become the graph's

        def forward(self, image):
            return serve(image)

    # A size of 1 would become a constant of the graph.
    batch = 2 if options.dynamic_batch else 1
    dynamic = {0: torch.export.Dim("batch")} if options.dynamic_batch else None
    with torch.no_grad():
        program = torch.onnx.export(
            Served().eval(),
            (torch.zeros((batch, *model.inputs[0].shape[1:])),),
            input_names=["image"],
            output_names=names,
            opset_version=max(EXPORTED, options.opset),
            dynamic_shapes={"image": dynamic},
            dynamo=True,
            verbose=False,
        )
    program.save(str(path), external_data=False)


def by_jax(model, serve, names, path, options):
    """As `by_torch`, with JAX's graph."""
    import jax2onnx
    import onnx

    batch = "batch" if options.dynamic_batch else 1
    onnx_model = jax2onnx.to_onnx(
        serve,
        [(batch, *model.inputs[0].shape[1:])],
        opset=max(EXPORTED, options.opset),
        input_names=["image"],
        output_names=names,
    )
    onnx.save(onnx_model, path)


def finish(path, opset, metadata):
    """Converts the ONNX file `path` to its operator set, and adds its metadata."""
    import onnx

    model = onnx.load(path)
    graph = model.graph
    # Exporters store source lines and paths of this machine there.
    for traced in (*graph.node, *graph.value_info, *graph.input, *graph.output, graph):
        del traced.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
    if opset < EXPORTED:
        to_17(model)
    remove_unread(model)
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import, True)
    model.producer_name, model.producer_version = "keras_t2t", __version__
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def remove_unread(model):
    """Removes constants and operator sets that no node uses."""
    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    read.update(value.name for value in graph.output)
    for constant in [c for c in graph.initializer if c.name not in read]:
        graph.initializer.remove(constant)
    used = {"", "ai.onnx", *(node.domain for node in graph.node)}
    for opset in [o for o in model.opset_import if o.domain not in used]:
        model.opset_import.remove(opset)


def to_17(model):
    """Converts a model from operator set 18 to 17, in place."""
    import onnx

    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        kind, inputs = node.op_type, list(node.input)
        attributes = {a.name: a for a in node.attribute}
        if kind in REDUCTIONS and len(inputs) > 1:
            axes = onnx.numpy_helper.to_array(constants[node.input.pop()])
            node.attribute.append(onnx.helper.make_attribute("axes", axes.tolist()))
        if kind in REDUCTIONS and "noop_with_empty_axes" in attributes:
            node.attribute.remove(attributes["noop_with_empty_axes"])
        if kind == "Split" and "num_outputs" in attributes:  # equal parts by default
            node.attribute.remove(attributes["num_outputs"])
        if kind == "Pad" and any(inputs[3:]):
            raise ValueError("an operator Pad with axes cannot be written in opset 17")
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx"):
            opset.version = 17
