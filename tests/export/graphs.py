"""Built-in operators alone, in 32 bits, and no convolution that only cuts patches out:
what the graphs in files must be."""

import numpy as np


def check_kernels(arrays):
    """None of them is a convolution that only cuts patches out."""
    for array in map(np.asarray, arrays):
        cuts = array.ndim == 4 and array.size > 27 and set(np.unique(array)) == {0, 1}
        assert not cuts


def check_onnx(path):
    import onnx

    model = onnx.load(path)
    graph = model.graph
    assert {node.domain for node in graph.node} <= {"", "ai.onnx"}
    assert len(graph.node) > 50
    types = {tensor.data_type for tensor in graph.initializer}
    types |= {v.type.tensor_type.elem_type for v in graph.value_info}
    assert onnx.TensorProto.DOUBLE not in types and onnx.TensorProto.FLOAT in types
    check_kernels(map(onnx.numpy_helper.to_array, graph.initializer))
    return model


def check_saved_model(loaded):
    import tensorflow as tf

    graph = loaded.signatures["serving_default"].graph.as_graph_def()
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    assert len(nodes) > 50
    known = set(tf.raw_ops.__dict__)
    assert {node.op for node in nodes if node.op not in known} <= {"NoOp"}
    types = {node.attr["T"].type for node in nodes if "T" in node.attr}
    assert tf.float64.as_datatype_enum not in types
    assert tf.float32.as_datatype_enum in types
    constants = [node.attr["value"].tensor for node in nodes if node.op == "Const"]
    check_kernels(map(tf.make_ndarray, constants))
    check_kernels(variable.numpy() for variable in loaded.variables)


def check_litert(path):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(path), experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()
    operators = interpreter._get_ops_details()
    names = {operator["op_name"] for operator in operators}
    assert len(operators) > 50
    assert not [name for name in names if name.startswith(("CUSTOM", "Flex"))]
    assert all(name == name.upper() for name in names)  # as built-in ones are called
    tensors = [t for t in interpreter.get_tensor_details() if t["shape"].size]
    types = {tensor["dtype"] for tensor in tensors}
    assert np.float64 not in types and np.float32 in types
    written = {index for operator in operators for index in operator["outputs"]}
    constants = [t["index"] for t in tensors if t["index"] not in written]
    assert len(constants) > 20
    check_kernels(map(interpreter.get_tensor, constants))
