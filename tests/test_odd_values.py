"""Values of every kind for each argument of the public functions: where one is accepted
the function gives its result, otherwise one clear line names the argument or value."""

import contextlib
import importlib
import inspect
import io

import keras
import numpy as np
import PIL.Image
import pytest

import keras_t2t
from benchmarks.fuzz import is_clear

pytestmark = [pytest.mark.nightly, pytest.mark.once]


class Odd:
    def __repr__(self):
        return "an odd object"


VALUES = {str(value): value for value in (None, True, -1, 0, 1, 0.5, 1.5)} | {
    "text": "x",
    "empty text": "",
    "NaN": float("nan"),
    "infinity": float("inf"),
    "an empty list": [],
    "a list": [1, 2],
    "a dict": {"a": 1},
    "bytes": b"x",
    "an array": np.ones(3),
    "NumPy's 2": np.int64(2),
    "NumPy's 0.5": np.float32(0.5),
    "NumPy's NaN": np.float64("nan"),
    "an object": Odd(),
    "a function": len,
    "10**30": 10**30,
}
# Values of which either may come: a result, or an error that names the argument.
HUGE = {"10**30"}
# Which names a place where another argument's file may lie: the error may name either.
PLACES = {"text"}

# Accepted values by kind of argument.
COUNT = {"1", "NumPy's 2"}
RATE = {"0", "0.5", "NumPy's 0.5"}
SHARE = {"1", "0.5", "NumPy's 0.5"}
POSITIVE = SHARE | {"1.5", "NumPy's 2"}
FLAG, NONE, NAME, NOTHING = {"True"}, {"None"}, {"text"}, set()


def each(arguments, accepted):
    return dict.fromkeys(arguments.split(), accepted)


# What each argument accepts, in whatever function.
ACCEPTED = {
    **each("embed_dim depth num_heads patch_size classes", COUNT),
    **each("hidden_dim ratio kernel_size strides token_dim num_features", COUNT),
    **each("units top", COUNT),
    **each("dropout attention_dropout hidden_dropout drop_path", RATE),
    **each("mlp_ratio epsilon", POSITIVE),
    **each("include_top include_preprocessing remat qkv_bias fused_soft_split", FLAG),
    **each("ema dynamic_batch verify overwrite", FLAG),
    **each("weights input_tensor input_shape pooling growth soft_split grid", NONE),
    **each("stages family", NONE),
    **each("images mean std", {"an array"}),
    **each("model image predictions token_type block_type format precision", NOTHING),
    "token_dropout": RATE | NONE,
    "classifier_activation": NONE | {"a function"},
    "name": NAME | NONE,
    "padding": COUNT | {"0"},
    "crop": SHARE,
    "interpolation": NOTHING,
    "size": {"a list"},
    "block": {"-1", "0"},
}
SMALL = {"input_shape": (32, 32, 3), "classes": 3}
TINY = {"embed_dim": 8, "depth": 1, "num_heads": 1, "mlp_ratio": 2, **SMALL}
# Words in capitals are what `made` has.
OF_MODEL, VIEW = {"model": "MODEL"}, {"model": "MODEL", "image": "PHOTOGRAPH"}
# Functions, and their arguments for a good call.
CALLS = {
    "T2TViT": TINY,
    "ViT": TINY,
    "layers.MultiHeadSelfAttention": {"num_heads": 2},
    "layers.MLP": {"hidden_dim": 4},
    "layers.GhostMLP": {},
    "layers.SqueezeExcitation": {"ratio": 4},
    "layers.SoftSplit": {"kernel_size": 3, "strides": 2, "padding": 1},
    "layers.TokenPerformer": {},
    "layers.TokenTransformer": {},
    "layers.PatchProjection": {"units": 4},
    "load_checkpoint": {"model": "MODEL", "path": "CHECKPOINT"},
    "save_official": {"model": "MODEL", "path": "NEW"},
    "count_macs": OF_MODEL,
    "summarize": OF_MODEL,
    "list_models": {},
    "preprocess_input": {"images": np.zeros((1, 4, 4, 3), "uint8")},
    "decode_predictions": {"predictions": np.zeros((1, 1000), "float32")},
    "preprocessing.evaluation_transform": {"image": "PHOTOGRAPH"},
    "export_model": {"model": "MODEL", "path": "x.onnx"},
    "visualization.model_view": VIEW,
    "visualization.class_attention": VIEW,
    "visualization.feature_maps": VIEW,
    "training.TrainingConfig": {},
}
# Where an argument accepts other values than elsewhere, or is of this function alone.
OTHERS = {
    "layers.TokenPerformer": {"dropout": RATE, "remat": FLAG, "soft_split": NONE},
    "load_checkpoint": {"path": NOTHING},
    "list_models": {
        "pattern": {"text", "empty text"},
        **each("token_type block_type", NONE),
    },
    "export_model": {"path": NAME},
    "visualization.feature_maps": {"image": NOTHING},
    "training.TrainingConfig": {
        **each("epochs batch_size steps_per_epoch gradient_accumulation", COUNT | NONE),
        **each("snapshot_every snapshots_kept", COUNT),
        **each("drop_path label_smoothing", RATE | NONE),
        **each("mixed_precision interpolation augmentation model", NONE),
        "weights": NONE | {"text", "empty text"},  # a run looks for them
        **{"crop": SHARE | NONE, "randaugment": FLAG | NONE, "skip_corrupt": FLAG},
        "resume": NOTHING,  # not without a folder
    },
}


def arguments_of(name):
    """{argument: accepted values} of a function."""
    named = inspect.signature(function(name)).parameters
    accepted = {x: ACCEPTED[x] for x in named if x in ACCEPTED}
    return accepted | OTHERS.get(name, {})


def test_every_value_is_of_an_argument_there_is():
    named = {x for name in CALLS for x in inspect.signature(function(name)).parameters}
    assert set(ACCEPTED) <= named


def function(name):
    room, _, function = f"keras_t2t.{name}".rpartition(".")
    return getattr(importlib.import_module(room), function)


# Good calls take seconds, and others try them.
ONLY_REFUSALS = ("export_model", "decode_predictions")
ON_TOKENS = ("MultiHeadSelfAttention", "MLP", "GhostMLP", "SqueezeExcitation")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    model = keras_t2t.T2TViT(8, 1, 2, 2, **SMALL)
    keras_t2t.save_official(model, folder / "model.pth")
    PIL.Image.new("RGB", (40, 40)).save(folder / "photograph.png")
    return {
        "MODEL": model,
        "CHECKPOINT": folder / "model.pth",
        "NEW": folder / "new.pth",
        "PHOTOGRAPH": folder / "photograph.png",
    }


def call(name, arguments):
    """Calls a public function; a layer also on an input."""
    result = function(name)(**arguments)
    room, _, kind = name.rpartition(".")
    if room == "layers":
        shape = (1, 16, 8) if kind in ON_TOKENS else (1, 8, 8, 8)
        result(np.zeros(shape, "float32"))


def fault(name, arguments, argument, value, accepted):
    """What is wrong with the answer to a value, or None."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            call(name, {**arguments, argument: VALUES[value]})
    except Exception as error:
        named = argument in str(error) or repr(VALUES[value]) in str(error)
        if value in accepted:
            return f"accepted, but: {error!r}"
        if not is_clear(error) or not (named or value in PLACES):
            return f"unclear: {error!r}"
    else:
        return None if value in accepted | HUGE else "not refused"
    finally:
        keras.backend.clear_session(free_memory=False)


@pytest.mark.parametrize("name", CALLS)
def test_a_value_is_accepted_or_told_in_one_line(name, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    base = {
        key: made.get(value, value) if isinstance(value, str) else value
        for key, value in CALLS[name].items()
    }
    found = {
        f"{argument}={value}": fault(name, base, argument, value, accepted)
        for argument, accepted in arguments_of(name).items()
        for value in VALUES
        if name not in ONLY_REFUSALS or value not in accepted | HUGE
    }
    assert {case: told for case, told in found.items() if told} == {}
