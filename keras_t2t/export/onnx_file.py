"""The end of every ONNX file: what it says of itself, and an operator set for older
runtimes."""

import json

from keras_t2t._ground.version import __version__

OPSETS = (17, 18, 19, 20)
OPSET = 20  # of 2023; 17, of 2022, is read by ONNX Runtime from 1.12 on
# Whose axes are an input in 18, and an attribute before. ReduceSum's always are one.
REDUCTIONS = ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSumSquare")


def exporter_opset(options):
    """The operator set to ask of an exporter: none of them writes 17."""
    return max(18, options.opset)


def finish(path, options):
    """Brings the ONNX file `path` to its operator set, and describes it.

    What `Options.metadata` has becomes `metadata_props`: text as it is, all else JSON.

    Args:
        options: `Options`.
    """
    import onnx

    model = onnx.load(path)
    graph = model.graph
    # Exporters leave their traces there: source lines, and folders of this machine.
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
    """Constants that nothing reads, and sets of operators that nothing is of."""
    graph = model.graph
    read = {name for node in graph.node for name in node.input}
    read.update(value.name for value in graph.output)
    for constant in [c for c in graph.initializer if c.name not in read]:
        graph.initializer.remove(constant)
    used = {"", "ai.onnx", *(node.domain for node in graph.node)}
    for opset in [o for o in model.opset_import if o.domain not in used]:
        model.opset_import.remove(opset)


def to_17(model):
    """Rewrites a model of operator set 18 for 17, in place.

    Raises:
        ValueError: one of its operators differs, and how is not known here.
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
        if kind == "Split" and "num_outputs" in attributes:  # equal parts, unless told
            node.attribute.remove(attributes["num_outputs"])
        if kind == "Pad" and any(inputs[3:]):
            raise ValueError("an operator Pad with axes cannot be written in opset 17")
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx"):
            opset.version = 17
