"""Rematerialisation changes memory, and nothing else."""

import keras
import numpy as np
import pytest

import keras_t2t


def build(builder, **kwargs):
    keras.utils.set_random_seed(0)
    return builder(
        32, 2, 2, 2, input_shape=(64, 64, 3), classes=10, drop_path=0.2, **kwargs
    )


def losses(model):
    random = np.random.default_rng(0)
    x = random.normal(size=(8, 64, 64, 3)).astype("float32")
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    y = np.arange(8)
    return model.fit(x, y, epochs=3, batch_size=8, verbose=0).history["loss"]


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize(
    ("builder", "design"),
    [
        # Dropout in the token layers and stochastic depth are drawn once.
        (keras_t2t.T2TViT, {"token_dropout": 0.2}),
        (keras_t2t.T2TViT, {"token_type": "transformer", "block_type": "ghost"}),
        (keras_t2t.ViT, {}),
    ],
)
def test_training_is_the_same(builder, design):
    kept = losses(build(builder, **design))
    again = losses(build(builder, remat=True, **design))
    assert kept[2] < kept[0]
    # The gradients are sums of the same numbers in another order.
    np.testing.assert_allclose(again, kept, rtol=1e-5)


@pytest.mark.once
def test_is_in_the_configuration():
    model = build(keras_t2t.T2TViT, remat=True)
    copy = keras.Model.from_config(model.get_config())
    for name in ("tokens_1", "block_0_attention", "block_0_mlp"):
        assert copy.get_layer(name).remat
