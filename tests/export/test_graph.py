"""What stands in the graphs that are exported."""

import json

import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t.visualization import attention_rollout
from tests.export import tiny

pytestmark = pytest.mark.nightly
BACKEND = keras.backend.backend()
tensorflow_writes = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="TensorFlow writes it"
)


def is_identity_kernel(array):
    """Whether an array is a convolution that only cuts patches out."""
    array = np.asarray(array)
    return array.ndim == 4 and array.size > 27 and set(np.unique(array)) == {0, 1}


@pytest.mark.skipif(BACKEND != "torch", reason="torch writes it")
def test_triton(tmp_path):
    """Its repository, and an ONNX of standard operators in 32 bits."""
    import onnx

    model = tiny.build(classifier_activation=None)
    path = tmp_path / "models" / "flowers"
    path.parent.mkdir()
    keras_t2t.export_model(model, path, "triton")
    config = (path / "config.pbtxt").read_text()
    assert config.startswith(
        'name: "flowers"\nbackend: "onnxruntime"\nmax_batch_size: 64\n'
        'input {\n  name: "image"\n  data_type: TYPE_FP32\n  dims: [64, 64, 3]\n}'
    )
    assert config.count("output {") == 2 and config.count("  dims: [10]") == 2

    graph = onnx.load(path / "1" / "model.onnx").graph
    assert {node.domain for node in graph.node} <= {"", "ai.onnx"}
    assert len(graph.node) > 50
    types = {tensor.data_type for tensor in graph.initializer}
    types |= {v.type.tensor_type.elem_type for v in graph.value_info}
    assert onnx.TensorProto.DOUBLE not in types and onnx.TensorProto.FLOAT in types
    kernels = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer]
    assert not any(map(is_identity_kernel, kernels))


@pytest.mark.skipif(BACKEND == "tensorflow", reason="torch writes it there too")
def test_the_page_s_rollout(tmp_path):
    import onnxruntime

    model = tiny.build(classifier_activation=None, input_shape=(64, 96, 3))
    path = tmp_path / "page"
    keras_t2t.export_model(model, path, "web", verify=False)
    session = onnxruntime.InferenceSession(path / "model.onnx")
    pixels = tiny.images((64, 96, 3))
    [found] = session.run(["rollout"], {"image": pixels})
    expected = [attention_rollout(model, image) for image in pixels.astype("uint8")]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert json.loads((path / "manifest.json").read_text())["rollout"] == [4, 6]


@tensorflow_writes
def test_saved_model(tmp_path):
    import tensorflow as tf

    path = tmp_path / "model"
    keras_t2t.export_model(tiny.build(), path, verify=False)
    serve = tf.saved_model.load(path).signatures["serving_default"]
    graph = serve.graph.as_graph_def()
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    assert len(nodes) > 50
    known = set(tf.raw_ops.__dict__)
    assert {node.op for node in nodes if node.op not in known} <= {"NoOp"}
    types = {node.attr["T"].type for node in nodes if "T" in node.attr}
    assert tf.float64.as_datatype_enum not in types
    assert tf.float32.as_datatype_enum in types
    constants = [node.attr["value"].tensor for node in nodes if node.op == "Const"]
    assert not any(is_identity_kernel(tf.make_ndarray(value)) for value in constants)
    variables = [v.numpy() for v in tf.saved_model.load(path).variables]
    assert not any(map(is_identity_kernel, variables))


@tensorflow_writes
def test_a_saved_model_of_grey_images_takes_no_files(tmp_path):
    import tensorflow as tf

    model = tiny.own(keras.layers.Rescaling(1 / 255), (64, 64, 1))
    keras_t2t.export_model(model, tmp_path / "model", verify=False)
    signatures = tf.saved_model.load(tmp_path / "model").signatures
    assert {"serving_default", "serve_uint8"} <= set(signatures)
    assert "serve_jpeg" not in signatures


@tensorflow_writes
def test_litert(tmp_path):
    """Built-in operators alone, in 32 bits."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    path = tmp_path / "model.tflite"
    keras_t2t.export_model(tiny.build(), path, "litert", verify=False)
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
    assert not any(is_identity_kernel(interpreter.get_tensor(i)) for i in constants)
