"""JAX writes ONNX itself, where jax2onnx is installed."""

import keras
import pytest

import keras_t2t
from keras_t2t.export.formats import writer_of
from tests.export import graphs, tiny

GHOST = {"token_type": "convolution", "block_type": "ghost"}
pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX")


@pytest.mark.parametrize(
    "settings",
    [
        {"input_shape": (64, 96, 3)},
        pytest.param({"token_type": "transformer"}, marks=pytest.mark.nightly),
        pytest.param(GHOST, marks=pytest.mark.nightly),
    ],
)
def test_it_is_verified_in_its_runtime(tmp_path, settings, capsys):
    pytest.importorskip("jax2onnx")
    model = tiny.build(classifier_activation=None, **settings)
    report = keras_t2t.export_model(model, tmp_path / "x.onnx", "onnx", opset=17)
    assert report.written_on == "jax"
    assert "child process" not in capsys.readouterr().out

    written = graphs.check_onnx(tmp_path / "x.onnx")
    (opset,) = written.opset_import
    assert (opset.domain, opset.version) == ("", 17)
    assert written.ir_version == 8
    read = {name for node in written.graph.node for name in node.input}
    assert {constant.name for constant in written.graph.initializer} <= read


def test_int8_and_a_missing_library_go_to_torch(monkeypatch):
    assert writer_of("onnx", "int8")[0] == "torch"
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "jax2onnx" else 1
    )
    assert writer_of("onnx", "float32")[0] == "torch"
