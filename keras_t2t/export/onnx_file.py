"""Finishes every ONNX file: metadata that describe it, and its operator set."""

import json

from keras_t2t._ground.version import __version__

OPSETS = (17, 18, 19, 20)
OPSET = 20  # from 2023; 17, from 2022, is read by ONNX Runtime from 1.12 on
# Operators whose axes are an input from 18 on, and an attribute before. (ReduceSum's
# are an input in both.)
REDUCTIONS = ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare")


def exporter_opset(options):
    """The operator set for the exporters, none of which writes 17."""
    return max(18, options.opset)


def finish(path, options):
    """Converts the ONNX file `path` to its operator set, and adds its metadata.

    `Options.metadata` becomes `metadata_props`: strings plainly, everything else as
    JSON.

    Args:
        options: `Options`.
    """
    import onnx

    model = onnx.load(path)
    graph = model.graph
    # Exporters store source lines and paths of this machine there.
    for traced in (*graph.node, *graph.value_info, *graph.input, *graph.output, graph):
        del traced.metadata_props[:]
    for node in graph.node:
        node.doc_string = ""
    if options.opset < 18:
        to_17(model)
    remove_unread(model)
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import, True)
    model.producer_name, model.producer_version = "keras_t2t", __version__
    onnx.helper.set_model_props(model, {k: text_of(v) for k, v in options.metadata})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def text_of(value):
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
    """Converts a model from operator set 18 to 17, in place.

    Raises:
        ValueError: for an operator that cannot be converted.
    """
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
