"""Models pass the shared test-case: kinds of tokens, outputs, sizes, dropouts."""

import keras_t2t
from tests.shared_case import Case, every_check, run

TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2}


def model_case(name, output_shape, input_shape, **kwargs):
    def build():
        return keras_t2t.T2TViT(**TINY, input_shape=input_shape, classes=5, **kwargs)

    # The head is float32 under every policy.
    dtype = None if kwargs.get("include_top") is False else "float32"
    return Case(name, build, output_shape, dtype, tolerance=1e-4)


DROPOUTS = {"dropout": 0.1, "attention_dropout": 0.1, "drop_path": 0.2}
MODELS = [
    model_case("performer_96x160", (5,), (96, 160, 3), **DROPOUTS),
    model_case(
        "transformer_100x100", (5,), (100, 100, 3), token_type="transformer", **DROPOUTS
    ),
    model_case(
        "one_channel_tokens", (17, 32), (64, 64, 1), include_top=False, drop_path=0.2
    ),
    model_case(
        "average_of_pixels",
        (32,),
        (64, 64, 3),
        include_top=False,
        include_preprocessing=True,
        pooling="avg",
    ),
]


@every_check(MODELS)
def test_model(case, check, tmp_path):
    run(check, case, tmp_path)
