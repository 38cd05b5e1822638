"""Values of every kind for each argument of the public functions.

Where a value is accepted the function must give its result; where it is not, the error
must name the argument.
"""

import contextlib
import io
import os

import numpy as np

from benchmarks.bad_input_harness import RIGHT, WRONG, Case


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

BLOCKS = {"embed_dim": COUNT, "depth": COUNT, "num_heads": COUNT, "mlp_ratio": POSITIVE}
MODEL = {
    "include_top": FLAG,
    "include_preprocessing": FLAG,
    "weights": NONE,
    "input_tensor": NONE,
    "input_shape": NONE,
    "pooling": NONE,
    "classes": COUNT,
    "classifier_activation": NONE | {"a function"},
    "name": NAME | NONE,
    "dropout": RATE,
    "attention_dropout": RATE,
    "drop_path": RATE,
}
TOKENS = {"token_dropout": RATE | NONE, "fused_soft_split": FLAG}
# Function, its arguments for a good call, what each argument accepts.
TABLE = {
    "T2TViT": (
        {"embed_dim": 8, "depth": 1, "num_heads": 1, "mlp_ratio": 2, "classes": 3},
        BLOCKS
        | MODEL
        | TOKENS
        | {
            "token_type": NOTHING,
            "block_type": NOTHING,
            "growth": NONE,
            "remat": FLAG,
        },
    ),
    "ViT": (
        {"embed_dim": 8, "depth": 1, "num_heads": 1, "mlp_ratio": 2, "classes": 3},
        BLOCKS
        | MODEL
        | {
            "patch_size": COUNT,
            "qkv_bias": FLAG,
            "epsilon": POSITIVE,
            "remat": FLAG,
        },
    ),
    "T2TViT7": ({"classes": 3}, MODEL | TOKENS),
    "layers.MultiHeadSelfAttention": (
        {"num_heads": 2},
        {
            "num_heads": COUNT,
            "qkv_bias": FLAG,
            "attention_dropout": RATE,
            "dropout": RATE,
            "remat": FLAG,
        },
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
        {
            "token_dim": COUNT,
            "num_features": COUNT,
            "dropout": RATE,
            "remat": FLAG,
            "soft_split": NONE,
        },
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
    "count_macs": ({"model": "MODEL"}, {"model": NOTHING, "input_shape": NONE}),
    "summarize": ({"model": "MODEL"}, {"model": NOTHING, "input_shape": NONE}),
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
        {
            "image": NOTHING,
            "size": {"a list"},
            "crop": SHARE,
            "interpolation": NOTHING,
        },
    ),
    "export_model": (
        {"model": "MODEL", "path": "x.onnx"},
        {
            "model": NOTHING,
            "path": NAME,
            "format": NOTHING,
            "precision": NOTHING,
            "include_preprocessing": FLAG,
            "dynamic_batch": FLAG,
            "verify": FLAG,
            "overwrite": FLAG,
            "crop": SHARE,
            "interpolation": NOTHING,
        },
    ),
    "visualization.model_view": (
        {"model": "MODEL", "image": "PHOTOGRAPH"},
        {"model": NOTHING, "image": NOTHING},
    ),
    "visualization.class_attention": (
        {"model": "MODEL", "image": "PHOTOGRAPH"},
        {"model": NOTHING, "image": NOTHING, "block": {"-1", "0"}},
    ),
    "visualization.feature_maps": (
        {"model": "MODEL", "image": "PHOTOGRAPH"},
        {"model": NOTHING, "stages": NONE},
    ),
    "training.TrainingConfig": (
        {},
        {
            "epochs": COUNT | NONE,
            "batch_size": COUNT | NONE,
            "steps_per_epoch": COUNT | NONE,
            "gradient_accumulation": COUNT | NONE,
            "snapshot_every": COUNT,
            "snapshots_kept": COUNT,
            "drop_path": RATE | NONE,
            "label_smoothing": RATE | NONE,
            "crop": SHARE | NONE,
            "skip_corrupt": FLAG,
            "resume": NOTHING,  # not without a folder
            "randaugment": FLAG | NONE,
            "mixed_precision": NONE,
            "interpolation": NONE,
            "augmentation": NONE,
        },
    ),
}
# Good calls take seconds, and others try them.
ONLY_REFUSALS = ("export_model", "decode_predictions")


def cases(fraction):
    step = max(1, round(1 / fraction))
    found = [
        Case(function, f"{argument}={name}")
        for function, (_, arguments) in TABLE.items()
        for argument, accepted in arguments.items()
        for name in VALUES
        if function not in ONLY_REFUSALS or name not in accepted | HUGE
    ]
    return found[::step]


def prepare(folder):
    from PIL import Image

    import keras_t2t

    keras_t2t.save_official(model(), folder / "model.pth")
    Image.new("RGB", (40, 40)).save(folder / "photograph.png")


def model():
    import keras_t2t

    return keras_t2t.T2TViT(8, 1, 2, 2, input_shape=(32, 32, 3), classes=3)


def start(folder):
    import keras

    os.chdir(folder)
    placeholders = {
        "MODEL": model(),
        "CHECKPOINT": folder / "model.pth",
        "NEW": folder / "new.pth",
        "PHOTOGRAPH": folder / "photograph.png",
        "IMAGES": np.zeros((1, 4, 4, 3), "uint8"),
        "SCORES": np.zeros((1, 1000), "float32"),
    }

    def attempt(case):
        base, arguments = TABLE[case.kind]
        argument, _, name = case.name.partition("=")
        given = {
            key: placeholders.get(value, value) if isinstance(value, str) else value
            for key, value in base.items()
        }
        given[argument] = VALUES[name]
        if case.kind in MODELS and argument != "input_shape":
            given.setdefault("input_shape", (32, 32, 3))
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                call(case.kind, given)
        except Exception as error:
            if name in arguments[argument]:
                raise Refused(f"this value is accepted: {error!r}") from None
            named = argument in str(error) or repr(VALUES[name]) in str(error)
            if not named and name not in PLACES:
                raise Refused(f"{argument} is not named: {error!r}") from None
            raise
        finally:
            keras.backend.clear_session(free_memory=False)
        return RIGHT if name in arguments[argument] | HUGE else WRONG

    return attempt


PLACES = {"text"}  # which names a place where another argument's file may lie


class Refused(Exception):
    """An error that says too little, or should not be."""


ON_TOKENS = ("MultiHeadSelfAttention", "MLP", "GhostMLP", "SqueezeExcitation")
MODELS = ("T2TViT", "ViT", "T2TViT7")


def call(name, arguments):
    """Calls a public function; a layer also on an input."""
    import keras_t2t
    from keras_t2t import layers, preprocessing, training, visualization

    places = {
        "": keras_t2t,
        "layers": layers,
        "preprocessing": preprocessing,
        "training": training,
        "visualization": visualization,
    }
    place, _, function = name.rpartition(".")
    result = getattr(places[place], function)(**arguments)
    if place == "layers":
        on_tokens = function in ON_TOKENS
        result(np.zeros((1, 16, 8) if on_tokens else (1, 8, 8, 8), "float32"))
