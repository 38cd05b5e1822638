"""What becomes of values of every kind for each argument of the public functions.

    KERAS_BACKEND=torch python benchmarks/bad_input.py
    KERAS_BACKEND=torch python benchmarks/bad_input.py --surfaces T2TViT --list

A surface is a function, and a case one value of one argument; both are tried as those
of `fuzz.py`. Where a value is accepted the function must give its result; where it is
not, the error must be one clear line that names the argument or the value.
"""

import contextlib
import functools
import importlib
import io
import os
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import fuzz


class Odd:
    def __repr__(self):
        return "an odd object"


VALUES = {
    "None": None,
    "text": "x",
    "empty text": "",
    "-1": -1,
    "0": 0,
    "1": 1,
    "0.5": 0.5,
    "1.5": 1.5,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "True": True,
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
WHOLE = COUNT | {"0"}
RATE = {"0", "0.5", "NumPy's 0.5"}
SHARE = {"1", "0.5", "NumPy's 0.5"}
POSITIVE = SHARE | {"1.5", "NumPy's 2"}
FLAG = {"True"}
NONE = {"None"}
NAME = {"text"}
NOTHING = set()

BLOCKS = dict.fromkeys(("embed_dim", "depth", "num_heads"), COUNT)
BLOCKS |= {"mlp_ratio": POSITIVE, "remat": FLAG}
MODEL = {
    **dict.fromkeys(("include_top", "include_preprocessing"), FLAG),
    **dict.fromkeys(("weights", "input_tensor", "input_shape", "pooling"), NONE),
    "classes": COUNT,
    "classifier_activation": NONE | {"a function"},
    "name": NAME | NONE,
    **dict.fromkeys(("dropout", "attention_dropout", "drop_path"), RATE),
}
TOKENS = {"token_dropout": RATE | NONE, "fused_soft_split": FLAG}
SMALL = {"input_shape": (32, 32, 3), "classes": 3}
TINY = {"embed_dim": 8, "depth": 1, "num_heads": 1, "mlp_ratio": 2, **SMALL}
# What `start` makes: a model, files and arrays by these names.
OF_MODEL, VIEW = {"model": "MODEL"}, {"model": "MODEL", "image": "PHOTOGRAPH"}
SEEN = {"model": NOTHING, "image": NOTHING}

# Function, its arguments for a good call, what each argument accepts.
TABLE = {
    "T2TViT": (
        TINY,
        {**BLOCKS, **MODEL, **TOKENS}
        | {"token_type": NOTHING, "block_type": NOTHING, "growth": NONE},
    ),
    "ViT": (
        TINY,
        BLOCKS | MODEL | {"patch_size": COUNT, "qkv_bias": FLAG, "epsilon": POSITIVE},
    ),
    "T2TViT7": (SMALL, MODEL | TOKENS),
    "layers.MultiHeadSelfAttention": (
        {"num_heads": 2},
        {"num_heads": COUNT, "qkv_bias": FLAG, "remat": FLAG}
        | {"attention_dropout": RATE, "dropout": RATE},
    ),
    "layers.MLP": (
        {"hidden_dim": 4},
        {"hidden_dim": COUNT, "hidden_dropout": RATE, "dropout": RATE, "remat": FLAG},
    ),
    "layers.GhostMLP": ({}, {"ratio": COUNT}),
    "layers.SqueezeExcitation": ({"ratio": 4}, {"ratio": COUNT}),
    "layers.SoftSplit": (
        {"kernel_size": 3, "strides": 2, "padding": 1},
        {"kernel_size": COUNT, "strides": COUNT, "padding": WHOLE},
    ),
    "layers.TokenPerformer": (
        {},
        {"token_dim": COUNT, "num_features": COUNT, "dropout": RATE, "remat": FLAG}
        | {"soft_split": NONE},
    ),
    "layers.TokenTransformer": (
        {},
        {"token_dim": COUNT, "dropout": RATE, "remat": FLAG, "soft_split": NONE},
    ),
    "layers.PatchProjection": ({"units": 4}, {"units": COUNT, "soft_split": NONE}),
    "load_checkpoint": (
        {"model": "MODEL", "path": "CHECKPOINT"},
        {"model": NOTHING, "path": NOTHING, "ema": FLAG, "grid": NONE},
    ),
    "save_official": ({"model": "MODEL", "path": "NEW"}, {"model": NOTHING}),
    "count_macs": (OF_MODEL, {"model": NOTHING, "input_shape": NONE}),
    "summarize": (OF_MODEL, {"model": NOTHING, "input_shape": NONE}),
    "list_models": (
        {},
        {"pattern": NAME | {"empty text"}, "family": NONE, "token_type": NONE}
        | {"block_type": NONE},
    ),
    "preprocess_input": (
        {"images": "IMAGES"},
        {"images": {"an array"}, "mean": {"an array"}, "std": {"an array"}},
    ),
    "decode_predictions": (
        {"predictions": "SCORES"},
        {"predictions": NOTHING, "top": COUNT},
    ),
    "preprocessing.evaluation_transform": (
        {"image": "PHOTOGRAPH"},
        {"image": NOTHING, "size": {"a list"}, "crop": SHARE, "interpolation": NOTHING},
    ),
    "export_model": (
        {"model": "MODEL", "path": "x.onnx"},
        {
            **{"model": NOTHING, "path": NAME, "format": NOTHING, "precision": NOTHING},
            **{"include_preprocessing": FLAG, "dynamic_batch": FLAG, "verify": FLAG},
            **{"overwrite": FLAG, "crop": SHARE, "interpolation": NOTHING},
        },
    ),
    "visualization.model_view": (VIEW, SEEN),
    "visualization.class_attention": (VIEW, {**SEEN, "block": {"-1", "0"}}),
    "visualization.feature_maps": (VIEW, {"model": NOTHING, "stages": NONE}),
    "training.TrainingConfig": (
        {},
        {
            **dict.fromkeys(("epochs", "batch_size", "steps_per_epoch"), COUNT | NONE),
            "gradient_accumulation": COUNT | NONE,
            **dict.fromkeys(("snapshot_every", "snapshots_kept"), COUNT),
            **dict.fromkeys(("drop_path", "label_smoothing"), RATE | NONE),
            "crop": SHARE | NONE,
            "skip_corrupt": FLAG,
            "resume": NOTHING,  # not without a folder
            "randaugment": FLAG | NONE,
            **dict.fromkeys(("mixed_precision", "interpolation", "augmentation"), NONE),
        },
    ),
}
# Good calls take seconds, and others try them.
ONLY_REFUSALS = ("export_model", "decode_predictions")
ON_TOKENS = ("MultiHeadSelfAttention", "MLP", "GhostMLP", "SqueezeExcitation")


def start(folder, name):
    """A file that says what to try, such as `depth=-1`, and the function that does."""
    import keras
    import PIL.Image

    import keras_t2t

    os.chdir(folder)
    model = keras_t2t.T2TViT(8, 1, 2, 2, **SMALL)
    keras_t2t.save_official(model, folder / "model.pth")
    PIL.Image.new("RGB", (40, 40)).save(folder / "photograph.png")
    made = {
        "MODEL": model,
        "CHECKPOINT": folder / "model.pth",
        "NEW": folder / "new.pth",
        "PHOTOGRAPH": folder / "photograph.png",
        "IMAGES": np.zeros((1, 4, 4, 3), "uint8"),
        "SCORES": np.zeros((1, 1000), "float32"),
    }
    base, arguments = TABLE[name]
    base = {key: made.get(value, value) for key, value in base.items()}

    def use(path):
        """Whether a value was taken that is accepted; True for the file as written."""
        argument, _, value = path.read_text().partition("=")
        if not argument:
            return True
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                call(name, {**base, argument: VALUES[value]})
        except Exception as error:
            told = argument in str(error) or repr(VALUES[value]) in str(error)
            if value in arguments[argument]:
                raise AssertionError(f"this value is accepted: {error!r}") from None
            if not told and value not in PLACES:
                raise AssertionError(f"{argument} is not named: {error!r}") from None
            raise
        finally:
            keras.backend.clear_session(free_memory=False)
        return value in arguments[argument] | HUGE

    file = folder / "case"
    file.touch()
    return [file], use


def call(name, arguments):
    """Calls a public function; a layer also on an input."""
    room, _, function = f"keras_t2t.{name}".rpartition(".")
    result = getattr(importlib.import_module(room), function)(**arguments)
    if room == "keras_t2t.layers":
        shape = (1, 16, 8) if function in ON_TOKENS else (1, 8, 8, 8)
        result(np.zeros(shape, "float32"))


SURFACES = {}
for name, (_, arguments) in TABLE.items():
    cases = [
        f"{argument}={value}"
        for argument, accepted in arguments.items()
        for value in VALUES
        if name not in ONLY_REFUSALS or value not in accepted | HUGE
    ]
    np.random.default_rng(0).shuffle(cases)  # the first are some of every argument
    SURFACES[name] = fuzz.Surface(
        row=f"keras_t2t.{name}".rpartition(".")[0],
        tells=fuzz.ALL,
        cases=len(cases),
        start=functools.partial(start, name=name),
        given=[(case.encode(), case) for case in cases],
    )

if __name__ == "__main__":
    sys.exit(fuzz.main("benchmarks.bad_input"))
