"""Odd values for each argument of the public functions: taken, or named in one line."""

import contextlib
import inspect
import io

import keras
import numpy as np
import pytest
from PIL import Image

import keras_t2t
from benchmarks.fuzz import is_clear
from keras_t2t import layers, preprocessing, training, visualization

pytestmark = [pytest.mark.once, pytest.mark.nightly]

NEVER = {  # no argument takes them
    "NaN": float("nan"),
    "infinity": float("inf"),
    "NumPy's NaN": np.float64("nan"),
    "bytes": b"x",
    "an object": type("Odd", (), {"__repr__": lambda self: "an odd object"})(),
}
VALUES = {
    **NEVER,
    **{"None": None, "text": "x", "empty text": "", "True": True},
    **{"-1": -1, "0": 0, "1.5": 1.5, "10**30": 10**30, "NumPy's 2": np.int64(2)},
    **{"an empty list": [], "a list": [1, 2], "a dict": {"a": 1}},
    **{"an array": np.ones(3), "a function": len},
}
BLOCKS = {"embed_dim": 8, "depth": 1, "num_heads": 1, "mlp_ratio": 2, "classes": 3}
SPLIT = {"kernel_size": 3, "strides": 2, "padding": 1}
# Function and a good call; a name in capitals stands for what only a test has.
GOOD = {
    keras_t2t.T2TViT: BLOCKS,
    keras_t2t.ViT: BLOCKS,
    keras_t2t.T2TViT7: {"classes": 3},
    layers.MultiHeadSelfAttention: {"num_heads": 2},
    layers.MLP: {"hidden_dim": 4},
    layers.GhostMLP: {},
    layers.SqueezeExcitation: {"ratio": 4},
    layers.SoftSplit: SPLIT,
    layers.TokenPerformer: {},
    layers.TokenTransformer: {},
    layers.PatchProjection: {"units": 4},
    keras_t2t.load_checkpoint: {"model": "MODEL", "path": "CHECKPOINT"},
    keras_t2t.save_official: {"model": "MODEL", "path": "NEW"},
    keras_t2t.count_macs: {"model": "MODEL"},
    keras_t2t.summarize: {"model": "MODEL"},
    keras_t2t.list_models: {},
    keras_t2t.preprocess_input: {"images": "IMAGES"},
    keras_t2t.decode_predictions: {"predictions": "SCORES"},
    preprocessing.evaluation_transform: {"image": "PHOTOGRAPH"},
    visualization.model_view: {"model": "MODEL", "image": "PHOTOGRAPH"},
    visualization.class_attention: {"model": "MODEL", "image": "PHOTOGRAPH"},
    visualization.feature_maps: {"model": "MODEL", "image": "PHOTOGRAPH"},
    training.TrainingConfig: {},
    keras_t2t.export_model: {"model": "MODEL", "path": "x.onnx"},
}
NO_EXPORT = (*NEVER, "-1", "a dict", "an array")  # another may take seconds
MODELS = keras_t2t.T2TViT, keras_t2t.ViT, keras_t2t.T2TViT7
ON_TOKENS = (
    *(layers.MultiHeadSelfAttention, layers.MLP),
    *(layers.GhostMLP, layers.SqueezeExcitation),
)


@pytest.fixture
def given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = keras_t2t.T2TViT(8, 1, 2, 2, input_shape=(32, 32, 3), classes=3)
    keras_t2t.save_official(model, tmp_path / "model.pth")
    Image.new("RGB", (40, 40)).save(tmp_path / "photograph.png")
    return {
        **{"MODEL": model, "CHECKPOINT": tmp_path / "model.pth"},
        **{"NEW": tmp_path / "new.pth", "PHOTOGRAPH": tmp_path / "photograph.png"},
        "IMAGES": np.zeros((1, 4, 4, 3), "uint8"),
        "SCORES": np.zeros((1, 1000), "float32"),
    }


def call(function, arguments):
    with contextlib.redirect_stdout(io.StringIO()):
        result = function(**arguments)
        if isinstance(function, type) and issubclass(function, keras.Layer):
            shape = (1, 16, 8) if function in ON_TOKENS else (1, 8, 8, 8)
            result(np.zeros(shape, "float32"))


@pytest.mark.parametrize("function", GOOD, ids=lambda function: function.__name__)
def test_odd_values_are_taken_or_named(function, given):
    good = {
        name: given.get(value, value) if isinstance(value, str) else value
        for name, value in GOOD[function].items()
    }
    if function in MODELS:
        good["input_shape"] = (32, 32, 3)
    wrong, names = [], inspect.signature(function).parameters
    for name in names:
        for label, value in VALUES.items():
            if function is keras_t2t.decode_predictions and label == "None":
                continue  # fetches ImageNet's names
            if function is keras_t2t.export_model and label not in NO_EXPORT:
                continue
            try:
                call(function, {**good, name: value})
            except Exception as error:
                named = name in str(error) or repr(value) in str(error)
                if not is_clear(error) or not (named or label == "text"):
                    wrong.append(f"{name}={label}: {error!r}")
            else:
                if label in NEVER:
                    wrong.append(f"{name}={label} is taken")
        keras.backend.clear_session(free_memory=False)
    assert not wrong, "\n".join(wrong)
