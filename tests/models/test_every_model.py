"""Models pass the shared test-case: kinds of tokens and blocks, outputs, sizes."""

import pytest

import keras_t2t
from tests.shared_case import Case, every_check

TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2}


def model_case(name, input_shape, builder=keras_t2t.T2TViT, shape=(5,), **kwargs):
    def build():
        settings = {**TINY, "input_shape": input_shape, "classes": 5, **kwargs}
        return builder(**settings)

    # The head is float32 under every policy.
    dtype = None if kwargs.get("include_top") is False else "float32"
    return Case(name, build, shape, dtype, tolerance=1e-4)


DROPOUTS = {"dropout": 0.1, "attention_dropout": 0.1, "drop_path": 0.2}
FEATURES = {"include_top": False, "pooling": "avg", "include_preprocessing": True}
TOKENS = {"include_top": False, "drop_path": 0.2}
# Of fewer units inside the gate, ReLU may leave none alive.
GATED = {"block_type": "se", "embed_dim": 128}
WIDE = (48, 64, 3)
MODELS = [
    model_case("performer", (96, 160, 3), **DROPOUTS),
    model_case("transformer", (100, 100, 3), token_type="transformer", **DROPOUTS),
    model_case("one_channel_tokens", (64, 64, 1), shape=(17, 32), **TOKENS),
    model_case("average_of_pixels", (64, 64, 3), shape=(32,), **FEATURES),
    model_case("token_labelling", WIDE, token_labelling=True, **DROPOUTS),
    model_case("squeeze_excitation", WIDE, **GATED, **DROPOUTS),
    model_case("ghost", WIDE, block_type="ghost", **DROPOUTS),
    model_case("densely_connected", WIDE, depth=(1, 2), growth=4, **DROPOUTS),
    model_case("convolutions", (49, 63, 3), token_type="convolution", **DROPOUTS),
    model_case(
        *("vit", (50, 64, 3), keras_t2t.ViT), include_preprocessing=True, **DROPOUTS
    ),
]


# The other designs' layers have cases of their own, and test_parity.py compares all
# designs' logits with the oracle's.
test_model = every_check(
    [
        MODELS[0],
        *(pytest.param(c, marks=pytest.mark.nightly_elsewhere) for c in MODELS[1:]),
    ]
)
