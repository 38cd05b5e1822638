"""Libraries are loaded late, kept off GPUs, and missed in one line."""

import importlib.util
import os
import subprocess
import sys

import keras
import pytest

from keras_t2t._ground import optional_imports

pytestmark = pytest.mark.once


@pytest.mark.nightly
def test_digits_need_no_tensorflow():
    # Its own process: this one has loaded TensorFlow for other tests.
    backend = keras.backend.backend()
    script = """
import sys, keras_t2t, keras_t2t.data
dataset = keras_t2t.data.open_dataset("digits")
next(iter(dataset.train_batches(32, 8, seed=0)))
list(dataset.validation_batches(32, 64))
assert not keras_t2t.data.is_prepared("imagenet2012")
assert not {"tensorflow", "tensorflow_datasets"} & set(sys.modules)
"""
    environment = os.environ | {
        "KERAS_BACKEND": "jax" if backend == "tensorflow" else backend,
        "TFDS_DATA_DIR": os.devnull,
    }
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)


@pytest.mark.every_backend
def test_tensorflow_that_only_reads_data_sees_no_accelerator(monkeypatch):
    tf = pytest.importorskip("tensorflow")
    hidden = []
    monkeypatch.setattr(
        tf.config,
        "set_visible_devices",
        lambda devices, kind: hidden.append((devices, kind)),
    )
    assert optional_imports.import_tensorflow() is tf
    if keras.backend.backend() == "tensorflow":
        assert hidden == []
    else:
        assert hidden == [([], "GPU"), ([], "TPU")]


@pytest.mark.every_backend
def test_devices_stay_hidden():
    tf = optional_imports.import_tensorflow()
    if keras.backend.backend() != "tensorflow":
        assert tf.config.get_visible_devices("GPU") == []
        assert tf.config.get_visible_devices("TPU") == []


def test_tensorflow_that_was_used_before_is_warned_about(monkeypatch):
    tf = optional_imports.import_tensorflow()

    def too_late(devices, kind):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    monkeypatch.setattr(tf.config, "set_visible_devices", too_late)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.warns(UserWarning, match="TensorFlow was used before"):
        optional_imports.import_tensorflow()


def test_a_folder_is_no_library(tmp_path, monkeypatch):
    """Such as the one that Weights & Biases makes for its logs."""
    (tmp_path / "wandb_logs").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert importlib.util.find_spec("wandb_logs")
    assert not optional_imports.is_installed("wandb_logs")
    assert not optional_imports.is_installed("no_such_library")
    assert optional_imports.is_installed("numpy")


class Hidden:
    """An import hook that hides one library."""

    def __init__(self, module):
        self.module = module

    def find_spec(self, name, path=None, target=None):
        if name == self.module:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.mark.parametrize(
    ("module", "load", "extra"),
    [
        ("tensorflow", optional_imports.import_tensorflow, "train"),
        ("tensorflow_datasets", optional_imports.import_tensorflow_datasets, "train"),
        ("keras_cv", optional_imports.import_keras_cv, "train"),
        ("sklearn", lambda: optional_imports.import_sklearn("datasets"), "data"),
        ("grain", optional_imports.import_grain, "data"),
        ("PIL", lambda: optional_imports.import_pillow("Image"), "train"),
        ("PIL", lambda: optional_imports.import_pillow("Image", "x"), "x"),
        ("matplotlib", optional_imports.import_matplotlib, "visualize"),
    ],
)
def test_missing_library_is_one_line_that_names_the_extra(
    monkeypatch, module, load, extra
):
    for loaded in list(sys.modules):
        if loaded == module or loaded.startswith(f"{module}."):
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "meta_path", [Hidden(module), *sys.meta_path])
    command = rf'pip install "keras-t2t\[{extra}\]"'
    with pytest.raises(ImportError, match=command) as error:
        load()
    assert "\n" not in str(error.value)
    assert error.value.__suppress_context__
