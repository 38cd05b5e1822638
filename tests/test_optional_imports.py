"""Libraries are loaded late, kept off GPUs, and missed in one line."""

import importlib.util
import sys
from functools import partial

import keras
import pytest

from keras_t2t._ground import optional_imports
from keras_t2t._ground.optional_imports import import_library
from tests.hidden import without

pytestmark = pytest.mark.once


@pytest.mark.every_backend
def test_tensorflow_that_only_reads_data_sees_no_accelerator(monkeypatch):
    tf = pytest.importorskip("tensorflow")
    hidden = []
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda *x: hidden.append(x))
    assert optional_imports.import_tensorflow() is tf
    if keras.backend.backend() == "tensorflow":
        assert hidden == []
    else:
        assert hidden == [([], "GPU"), ([], "TPU")]


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


@pytest.mark.parametrize(
    ("module", "load", "extra"),
    [
        ("tensorflow", optional_imports.import_tensorflow, "train"),
        ("tensorflow_datasets", optional_imports.import_tensorflow_datasets, "train"),
        ("keras_cv", optional_imports.import_keras_cv, "train"),
        ("sklearn", partial(import_library, "sklearn.datasets"), "data"),
        ("grain", partial(import_library, "grain"), "data"),
        ("PIL", partial(import_library, "PIL.Image"), "data"),
        ("PIL", partial(import_library, "PIL.Image", "x"), "x"),
        ("safetensors", optional_imports.import_safetensors, "convert"),
        ("torch", optional_imports.import_torch, "torch"),
        ("matplotlib", optional_imports.import_matplotlib, "visualize"),
    ],
)
def test_a_missing_library_names_its_extra(monkeypatch, module, load, extra):
    for loaded in list(sys.modules):
        if loaded == module or loaded.startswith(f"{module}."):
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(sys, "meta_path", without(module))
    command = rf'pip install "keras-t2t\[{extra}\]"'
    with pytest.raises(ImportError, match=command) as error:
        load()
    assert "\n" not in str(error.value)
    assert error.value.__suppress_context__
