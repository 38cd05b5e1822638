"""What `export_model` refuses, what it leaves behind, and what it finds wrong."""

import functools
import json
import pathlib
import subprocess

import keras
import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

import keras_t2t
from keras_t2t.export import exporting, formats, onnx_format, runtimes, verification
from keras_t2t.export.photographs import calibration_images
from keras_t2t.export.serving_model import serving_model
from tests.export import tiny

pytestmark = pytest.mark.once

BACKEND = keras.backend.backend()
SCALED = functools.partial(keras.layers.Rescaling, 1 / 255)
NAMES = list("abcdefghij")


@pytest.fixture(scope="module")
def model():
    return tiny.build()


@pytest.fixture
def written(monkeypatch):
    """The options of each file that is exported, which has nothing in it."""
    written = []

    def write(self, model, path, options):
        path.write_bytes(b"x")
        written.append(options)

    monkeypatch.setattr(formats.Format, "write", write)
    monkeypatch.setattr(exporting, "write_in_child", write)
    return written


def export(model, path, format="keras", **settings):
    return keras_t2t.export_model(model, path, format, verbose=False, **settings)


def check_refused(message, folder, name, model, **settings):
    """In one line, and nothing is left."""
    with pytest.raises(ValueError) as error:
        export(model, folder / name, **settings)
    assert message in str(error.value) and "\n" not in str(error.value)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("path", "settings", "message"),
    [
        ("x.h5", {"format": "h5"}, "`format` must be one of ['keras', 'litert'"),
        ("x.onnx", {"format": "litert"}, "`path` must end in .tflite"),
        ("gone/x.keras", {}, "`path` must be in an existing folder"),
        ("x.keras", {"precision": "int2"}, "`precision` must be one of ['float16'"),
        ("x.onnx", {"format": "onnx", "precision": "int4"}, "'int4', which is for ker"),
        ("x.keras", {"labels": ["one"]}, "`labels` must name the model's 10 classes"),
        ("x.keras", {"labels": "abcdefghij"}, "`labels` must be a list of names, got"),
        ("x.keras", {"labels": 10}, "`labels` must be a list of names, got 10"),
        ("x.keras", {"labels": b"abcdefghij"}, "must be a list of names, got b'abc"),
        ("x.keras", {"labels": dict(enumerate("abcdefghij"))}, "of names, got {0: 'a'"),
        ("x.keras", {"labels": set("abcdefghij")}, "must be a list of names, got {'"),
        ("x.keras", {"crop": 0}, "`crop` must be in"),
        ("x.keras", {"takes_pixels": "no"}, "`takes_pixels` must be True, False or N"),
        ("x.keras", {"interpolation": "box"}, "`interpolation` must be"),
        ("x.keras", {"calibration": "gone"}, "with 0 images"),
        ("x.keras", {"calibration": [1, 2]}, "a folder with images, for a model of 3"),
        ("x.keras", {"calibration": np.zeros((1, 8, 8, 3))}, "(images, 64, 64, 3), g"),
        ("x.onnx", {"format": "onnx", "opset": 16}, "`opset` must be one of (17, 18"),
        ("x.keras", {"opset": 17}, "`opset` is for format=onnx, web, triton, not 'ker"),
        ("x.onnx", {"format": "onnx", "precision": "int8"}, "`calibration` must be a"),
    ],
)
def test_bad_arguments_leave_nothing(path, settings, message, model, tmp_path):
    check_refused(message, tmp_path, path, model, **settings)


class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def nested():
    return keras.Sequential([keras.Input(tiny.SIZE), tiny.build()])


WEB = {"format": "web"}
OTHER = "tensorflow" if BACKEND == "torch" else "torch"  # another backend's format
CHILD = {"format": "litert" if BACKEND == "torch" else "torch", "takes_pixels": True}
REFUSED = f"mine ({__name__}.Doubled); run with KERAS_BACKEND={OTHER}"


@pytest.mark.parametrize(
    ("build", "settings", "message"),
    [
        (lambda: tiny.own(SCALED(), tiny.SIZE, 1, None), WEB, "at least 2 outputs"),
        (lambda: tiny.own(SCALED(), (64, 64, 1)), WEB, "of 3 channels (RGB), as"),
        (lambda: tiny.build(include_top=False), WEB, "that ends in a Dense"),
        (tiny.build, {**WEB, "include_preprocessing": False}, "ng=True, got False"),
        (nested, {"labels": NAMES}, "ends in t2t_vit: export model.get_layer"),
        (lambda: tiny.own(Doubled(name="mine")), CHILD, REFUSED),
    ],
)
def test_models_that_cannot_be_exported_so(build, settings, message, tmp_path):
    check_refused(message, tmp_path, "model", build(), **settings)


def test_one_output_has_the_names_of_two_classes(tmp_path):
    model = tiny.own(SCALED(), classes=1, activation=None)
    export(model, tmp_path / "x.keras", "keras", labels=["no", "yes"], verify=False)
    names = json.loads((tmp_path / "x.classes.json").read_text())
    assert names == ["no", "yes"]


def test_calibration_leaves_out_litter(tmp_path):
    for name in ("a/x.png", "@eaDir/x.png", ".trash/x.png", "a/notes.txt", "a/.x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no image")
    Image.new("RGB", (20, 20)).save(tmp_path / "a/x.png")
    images = calibration_images(str(tmp_path), (16, 16, 3), 0.9, "bicubic")
    assert images.shape == (1, 16, 16, 3)


def test_an_existing_path_stays_unless_overwrite_is_set(model, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"mine")
    (tmp_path / "model.bin").write_bytes(b"mine")
    (tmp_path / "photos").mkdir()
    for name, format, overwrite, message in (
        ("model.keras", "keras", False, r"`path` exists: .*overwrite=True"),
        ("model", "keras", False, r"`path` exists: .*model\.keras"),
        ("model.xml", "openvino", False, r"`path` exists: .*model\.bin"),
        ("photos", "tf_saved_model", True, "without an export of format='tf_saved_mo"),
    ):
        with pytest.raises(ValueError, match=message):
            export(model, tmp_path / name, format, overwrite=overwrite)
    assert path.read_bytes() == b"mine"
    # A name without an ending gets the format's.
    report = export(model, tmp_path / "model", verify=False, overwrite=True)
    assert report.path == path and path.read_bytes() != b"mine"


def test_names_beside_a_file_are_those_of_its_model(model, tmp_path, written):
    others = list("klmnopqrst")
    beside = tmp_path / "model.classes.json"

    def exported(suffix, format, **settings):
        export(model, tmp_path / f"model{suffix}", format, verify=False, **settings)
        return json.loads(beside.read_text()) if beside.exists() else None

    assert exported(".keras", "keras", labels=NAMES) == NAMES
    assert exported(".onnx", "onnx", labels=tuple(NAMES)) == NAMES
    for labels in (others, None):
        with pytest.raises(ValueError, match=r"exists with .*model\.classes\.json; o"):
            exported(".pt2", "torch", labels=labels)
        assert json.loads(beside.read_text()) == NAMES
        assert not (tmp_path / "model.pt2").exists()
    assert exported(".pt2", "torch", labels=others, overwrite=True) == others
    assert exported(".keras", "keras", overwrite=True) is None
    beside.write_text("mine")
    with pytest.raises(ValueError, match="exists with other `labels`"):
        exported(".tflite", "litert", labels=NAMES)


def test_a_failed_export_leaves_nothing(model, tmp_path, monkeypatch, capsys):
    path = tmp_path / "model.keras"
    path.write_bytes(b"mine")

    def write(self, model, path, options):
        path.write_bytes(b"half")
        raise RuntimeError("no more")

    monkeypatch.setattr(formats.Format, "write", write)
    with pytest.raises(RuntimeError, match="no more"):
        keras_t2t.export_model(model, path, "keras", overwrite=True)
    assert capsys.readouterr().out.endswith(" ... failed\n")
    assert path.read_bytes() == b"mine" and len(list(tmp_path.iterdir())) == 1


def test_numpy_s_numbers_reach_a_child_process(model, tmp_path, written):
    """As JSON, which does not know them."""
    settings = {"crop": np.float32(0.5), "dynamic_batch": np.True_, "verify": False}
    export(model, tmp_path / "model.keras", **settings)
    assert '"crop": 0.5' in json.dumps(written[0]._asdict())


def test_outputs_that_differ_are_found():
    logits = np.random.default_rng(0).normal(size=(3, 10))
    expected = {"logits": logits, "probabilities": softmax(logits, axis=-1)}
    found = verification.compare(expected, expected, exact=True)
    assert found == (0.0, 0.0, 1.0, 3)
    off = {**expected, "logits": logits + 2e-4}
    found = verification.compare(expected, off, exact=False)
    assert found.max_difference == pytest.approx(2e-4, rel=1e-2)
    for outputs, exact, message in (
        (off, True, r"differ from Keras's by 2\.0e-04"),
        ({"logits": logits}, True, "instead of"),
        ({**expected, "logits": logits * np.nan}, False, "not finite"),
        ({**expected, "probabilities": logits * np.nan}, False, "not finite"),
    ):
        with pytest.raises(RuntimeError, match=message):
            verification.compare(expected, outputs, exact)
    one = np.array([[0.3], [-2.0]], "float32")  # agrees on its side of zero
    for outputs, agreement in ((one, 1), (one + 0.1, 1), (-one, 0)):
        found = verification.compare({"logits": one}, {"logits": outputs}, False)
        assert found.top1_agreement == agreement


def test_a_file_is_compared_with_the_model_itself(model, tmp_path, monkeypatch):
    """Not only with what was made of it to be served."""

    def here(format, path, images, batch_size):  # a process of its own takes 8 s
        return runtimes.run_in_batches(runtimes.load(format, path), images, batch_size)

    monkeypatch.setattr(verification, "run_alone", here)

    def another(model, *settings):
        return serving_model(keras.models.clone_model(model), *settings)

    def without(model, *settings):
        return serving_model(model, takes_pixels=True)

    for wrong in (another, without):
        monkeypatch.setattr(exporting, "serving_model", wrong)
        with pytest.raises(RuntimeError, match="differ"):
            export(model, tmp_path / "model.keras")
        assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("written")
def test_a_report_says_who_standardises(model, tmp_path, capsys):
    own = tiny.build(include_preprocessing=True)
    for exported, preprocessing, told in (
        (model, True, "standardised by ImageNet's mean"),
        (own, True, "standardised by the model itself"),
        (model, False, "own input"),
    ):
        settings = {"verify": False, "overwrite": True}
        path = tmp_path / "x.keras"
        keras_t2t.export_model(exported, path, "keras", preprocessing, **settings)
        assert told in capsys.readouterr().out


@pytest.mark.parametrize(
    ("begin", "channels", "settings", "image"),
    [
        (SCALED(), 3, (True, None), "RGB 0..255"),
        (SCALED(), 1, (True, None), "0..255"),
        (keras.layers.Identity(), 3, (False, None), "the model's own input"),
    ],
)
def test_metadata_say_what_is_known(begin, channels, settings, image):
    """Not how a caller standardises, nor how an own layer does. For the package's own
    see test_formats.py."""
    served = serving_model(tiny.own(begin, (64, 64, channels)), *settings)
    options = formats.Options(include_preprocessing=settings[0])
    told = onnx_format.metadata_of(served, options)
    assert told["image"] == image and not {"mean", "std"} & told.keys()


def test_a_missing_converter_names_the_extra(model, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name != "openvino")
    with pytest.raises(ImportError, match=r"needs openvino.*keras-t2t\[export\]"):
        export(model, tmp_path / "model.xml", "openvino")


@pytest.mark.skipif(BACKEND != "torch", reason="others have no such variable")
def test_from_any_accelerator_torch_writes_on_the_cpu(model, tmp_path, monkeypatch):
    """Keras takes Apple's MPS and Intel's XPU too, unless this variable is set. A child
    that fails says why."""
    import torch

    asked = []
    monkeypatch.setenv("KERAS_TORCH_DEVICE", "mps")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)

    def run(command, env, **settings):
        asked.append((env["KERAS_TORCH_DEVICE"], env["JAX_PLATFORMS"]))
        return subprocess.CompletedProcess(command, 1, "", "seen")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(RuntimeError, match=r"torch process .* with code 1: seen"):
        export(model, tmp_path / "model.pt2", "torch")
    assert asked == [("cpu", "cpu")] and not list(tmp_path.iterdir())


def test_class_names_are_written_in_utf8(tmp_path, monkeypatch):
    written = []

    def write_text(path, text, encoding):
        written.append(encoding)

    monkeypatch.setattr(pathlib.Path, "write_text", write_text)
    exporting.write_labels(["caf\xe9"], tmp_path / "model.onnx")
    assert written == ["utf-8"]
