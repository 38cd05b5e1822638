"""Every format, in a process that has its runtime but no Keras."""

import json

import keras
import numpy as np
import pytest
from PIL import Image

import keras_t2t
from keras_t2t.export.formats import FORMATS, writer_of
from keras_t2t.export.photographs import photographs
from keras_t2t.preprocessing import evaluation_transform
from keras_t2t.visualization import attention_rollout
from tests.export import graphs, tiny
from tests.photographs import encode

BACKEND = keras.backend.backend()
FIVE = ["tf_saved_model", "onnx", "litert", "openvino", "torch"]
# Each backend's own; JAX's is at the end. What a child process writes is for the night.
CASES = [name for name in FIVE if FORMATS[name].backend == BACKEND]
CASES += [pytest.param(x, marks=pytest.mark.nightly) for x in FIVE if x not in CASES]
TOLERANCE = 1e-4  # float32: sums in another order


@pytest.mark.parametrize("format", CASES)
def test_a_file_answers_alone_as_keras_does(format, tmp_path, capsys):
    model = tiny.build(classifier_activation=None)
    path = tmp_path / ("model" + FORMATS[format].suffix)
    names = [f"class {i}" for i in range(10)]
    report = keras_t2t.export_model(model, path, format, verify=False, labels=names)

    line = capsys.readouterr().out
    assert line.startswith("Exporting t2t_vit -> ") and line.count("\n") == 1
    here = writer_of(format, "float32")[0] == BACKEND
    assert ("child process" in line) == (not here)
    assert report.path == path and report.bytes > 50_000
    beside = path.with_name("model.classes.json")
    if format == "tf_saved_model":
        beside = path / "assets.extra" / "classes.json"
    assert json.loads(beside.read_text()) == names
    files = {path.name, *(path.stem + s for s in FORMATS[format].companions)}
    if format != "tf_saved_model":
        files.add(beside.name)
    assert {file.name for file in tmp_path.iterdir()} == files

    pixels = tiny.images()
    outputs = tiny.use_alone(format, path, pixels, tmp_path)
    expected = tiny.logits_of(model, pixels)
    assert np.ptp(expected[0] - expected[1]) > 0.1  # else any image would do
    np.testing.assert_allclose(outputs["logits"], expected, atol=TOLERANCE)
    probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(expected))
    np.testing.assert_allclose(outputs["probabilities"], probabilities, atol=TOLERANCE)
    if format == "onnx":
        graphs.check_onnx(path)
        check_metadata(path, names)
    if format == "litert":
        graphs.check_litert(path)
    if format == "tf_saved_model" and BACKEND == "tensorflow":
        check_other_signatures(path, model, pixels)


def check_other_signatures(path, model, pixels):
    """Those of a SavedModel for pixels in uint8, and for whole files; and its graph."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    graphs.check_saved_model(loaded)
    found = loaded.signatures["serve_uint8"](image=tf.cast(pixels, tf.uint8))
    expected = tiny.logits_of(model, pixels)
    np.testing.assert_allclose(found["logits"], expected, atol=TOLERANCE)
    grey = Image.new("RGB", (120, 90), (200, 200, 200))
    images = [*map(Image.fromarray, pixels.astype("uint8")), grey]
    files = [*(encode(image, "PNG") for image in images[:3]), encode(grey, "JPEG")]
    found = loaded.signatures["serve_jpeg"](image_bytes=tf.constant(files))
    evaluated = [evaluation_transform(image, (64, 64)) for image in images]
    # Two grey levels between Pillow's and TensorFlow's resizing.
    expected = tiny.logits_of(model, np.stack(evaluated))
    np.testing.assert_allclose(found["logits"], expected, atol=0.05)


def check_metadata(path, names):
    """As ONNX Runtime gives it; and nothing of the folders where it was made."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    described = session.get_modelmeta()
    assert described.producer_name == "keras_t2t"
    metadata = described.custom_metadata_map
    assert json.loads(metadata["classes"]) == names
    assert json.loads(metadata["image_size"]) == [64, 64]
    assert json.loads(metadata["mean"]) == pytest.approx([0.485, 0.456, 0.406])
    assert json.loads(metadata["std"]) == pytest.approx([0.229, 0.224, 0.225])
    assert (metadata["crop"], metadata["interpolation"]) == ("0.9", "bicubic")
    assert (metadata["image"], metadata["model"]) == ("RGB 0..255", "t2t_vit")
    assert __file__.partition("tests")[0].encode() not in path.read_bytes()


KINDS = {
    "performer": {},
    "transformer": {"token_type": "transformer"},
    "convolution, ghost": {"token_type": "convolution", "block_type": "ghost"},
    "se": {"block_type": "se"},
    "ghost": {"block_type": "ghost", "fused_soft_split": False},
}


@pytest.mark.nightly
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format", FIVE)
def test_every_kind_of_tokens_and_blocks(format, kind, tmp_path):
    """Verified in the runtime: dynamic and static batch, a grid that is not square."""
    model = tiny.build(input_shape=(64, 96, 3), **KINDS[kind])
    path = tmp_path / ("model" + FORMATS[format].suffix)
    for dynamic in (True, False):
        settings = {"opset": 17} if format == "onnx" and not dynamic else {}
        settings |= {"dynamic_batch": dynamic, "overwrite": not dynamic}
        keras_t2t.export_model(model, path, format, **settings)


# Logits are about 1; 8 bits over two blocks and the token layers.
LARGEST = {"float16": 0.02, "int8": 0.3, "int4": 1.0}
SMALLER = [
    (name, each, True) for name in FORMATS for each in FORMATS[name].precisions[1:]
]
SMALLER += [("onnx", "int8", False)]  # which is calibrated with single images


@pytest.mark.nightly
@pytest.mark.parametrize(("format", "precision", "dynamic"), SMALLER)
def test_a_smaller_file_says_nearly_the_same_of_photographs(
    format, precision, dynamic, tmp_path
):
    model = tiny.build(classifier_activation=None)
    path = tmp_path / f"small{FORMATS[format].suffix}"
    settings = {"precision": precision, "calibration": photographs(tiny.SIZE)}
    settings["dynamic_batch"] = dynamic
    found = keras_t2t.export_model(model, path, format, **settings).verification
    assert 1e-6 < found.max_difference < LARGEST[precision]
    assert found.images == 4 and found.top1_agreement >= 0.75


@pytest.mark.nightly
@pytest.mark.skipif(BACKEND != "torch", reason="torch writes it")
def test_triton(tmp_path):
    path = tmp_path / "flowers"
    keras_t2t.export_model(tiny.build(classifier_activation=None), path, "triton")
    config = (path / "config.pbtxt").read_text()
    assert config.startswith(
        'name: "flowers"\nbackend: "onnxruntime"\nmax_batch_size: 64\n'
        'input {\n  name: "image"\n  data_type: TYPE_FP32\n  dims: [64, 64, 3]\n}'
    )
    assert config.count("output {") == 2 and config.count("  dims: [10]") == 2


@pytest.mark.nightly
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


@pytest.mark.nightly
@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow writes it")
def test_a_saved_model_of_grey_images_takes_no_files(tmp_path):
    import tensorflow as tf

    model = tiny.own(keras.layers.Rescaling(1 / 255), (64, 64, 1))
    keras_t2t.export_model(model, tmp_path / "model", verify=False)
    signatures = tf.saved_model.load(tmp_path / "model").signatures
    assert {"serving_default", "serve_uint8"} <= set(signatures)
    assert "serve_jpeg" not in signatures


of_jax = pytest.mark.skipif(BACKEND != "jax", reason="JAX writes it, where jax2onnx is")


@of_jax
@pytest.mark.parametrize(
    "settings",
    [
        {"input_shape": (64, 96, 3)},
        pytest.param(KINDS["transformer"], marks=pytest.mark.nightly),
        pytest.param(KINDS["convolution, ghost"], marks=pytest.mark.nightly),
    ],
)
def test_what_jax_writes_is_verified_in_its_runtime(tmp_path, settings, capsys):
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


@of_jax
def test_int8_and_a_missing_library_go_to_torch(monkeypatch):
    assert writer_of("onnx", "int8")[0] == "torch"
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "jax2onnx" else 1
    )
    assert writer_of("onnx", "float32")[0] == "torch"
