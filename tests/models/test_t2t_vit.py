"""The builders: names, arguments, and every error."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_t2t
from tests.models.test_every_model import TINY
from tests.shared_case import outputs

pytestmark = pytest.mark.once


def tiny(**kwargs):
    settings = {**TINY, "input_shape": (64, 64, 3), "classes": 5, **kwargs}
    return keras_t2t.T2TViT(**settings)


def names(**kwargs):
    return [layer.name for layer in tiny(**kwargs).layers]


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_layer_names_are_stable():
    assert names(drop_path=0.1, dropout=0.1) == [
        *("image", "tokens_1", "tokens_2"),
        *("project", "flatten_grid", "class_token", "position_embedding"),
        *("embedding_dropout", "block_0_norm_1", "block_0_attention", "block_0_add"),
        *("block_0_norm_2", "block_0_mlp", "block_0", "block_1_norm_1"),
        *("block_1_attention", "block_1_attention_drop_path", "block_1_add"),
        *("block_1_norm_2", "block_1_mlp", "block_1_mlp_drop_path", "block_1"),
        *("norm", "class_token_output", "class_token_features", "head"),
    ]


def test_layer_names_of_the_readable_path():
    assert names(fused_soft_split=False) == [
        *("image", "soft_split_0", "tokens_1", "soft_split_1", "tokens_2"),
        *("soft_split_2", "project", *names()[4:]),
    ]


def test_layer_names_of_the_other_designs():
    assert names(block_type="ghost") == names()
    assert set(names(block_type="se", dropout=0.1)) - set(names(dropout=0.1)) == {
        *("block_0_squeeze_excitation", "block_0_attention_dropout"),
        *("block_1_squeeze_excitation", "block_1_attention_dropout"),
    }
    assert names(token_type="convolution")[:8] == [
        *("image", "convolution_0_padding", "convolution_0", "convolution_1_padding"),
        *("convolution_1", "project_padding", "project", "flatten_grid"),
    ]
    dense = names(growth=8, depth=(1, 1))
    assert set(dense) - set(names()) == {
        *("block_0_add_2", "block_0_growth", "transition_0"),
        *("block_1_add_2", "block_1_growth"),
    }


def test_stochastic_depth_of_dense_blocks():
    model = keras_t2t.T2TViTDense(input_shape=(32, 32, 3), drop_path=0.11)
    dropped = (model.get_layer(f"block_{i}_mlp_drop_path") for i in (3, 8, 9, 15, 18))
    rates = [layer.rate for layer in dropped]
    np.testing.assert_allclose(rates, [0.01, 0.01, 0.02, 0.03, 0.03])
    assert "block_2_mlp_drop_path" not in {layer.name for layer in model.layers}


@pytest.mark.nightly_elsewhere
def test_pooling_is_what_it_says():
    x = noise(2, 64, 64, 3)
    tokens_model = tiny(include_top=False)
    tokens = outputs(tokens_model, x)
    for pooling, expected in (("token", tokens[:, 0]), ("avg", tokens[:, 1:].mean(1))):
        model = tiny(include_top=False, pooling=pooling)
        model.set_weights(tokens_model.get_weights())
        # The mean sums in another order than NumPy.
        np.testing.assert_allclose(outputs(model, x), expected, atol=1e-5)


def test_input_tensor():
    image = keras.Input((64, 96, 3))
    model = tiny(input_tensor=keras.layers.Rescaling(0.5)(image), input_shape=None)
    plain = tiny(input_shape=(64, 96, 3))
    plain.set_weights(model.get_weights())
    x = noise(1, 64, 96, 3)
    assert model.input_shape == (None, 64, 96, 3)
    np.testing.assert_allclose(outputs(model, x), outputs(plain, x / 2), atol=1e-6)


@pytest.mark.every_backend
def test_stochastic_depth_rises_and_acts_per_image():
    model = tiny(depth=5, drop_path=0.4)
    rates = [
        model.get_layer(f"block_{i}_{branch}_drop_path").rate
        for i in range(1, 5)
        for branch in ("attention", "mlp")
    ]
    np.testing.assert_allclose(rates, np.repeat([0.1, 0.2, 0.3, 0.4], 2))
    drop_path = model.get_layer("block_4_mlp_drop_path")
    ones = ops.ones((500, 3, 4))
    y = ops.convert_to_numpy(drop_path(ones, training=True))
    kept = y[:, 0, 0] > 0
    # An image is kept whole, scaled by 1 / 0.6, or dropped whole.
    np.testing.assert_allclose(y, np.where(kept, 1 / 0.6, 0)[:, None, None] + 0 * y)
    assert 0.5 < kept.mean() < 0.7


def test_token_dropout_defaults_to_the_authors():
    assert tiny(token_type="convolution").output_shape == (None, 5)
    for token_type, rate in (("performer", 0.1), ("transformer", 0.0)):
        assert tiny(token_type=token_type).get_layer("tokens_2").dropout_rate == rate
        model = tiny(token_type=token_type, token_dropout=0.3)
        assert model.get_layer("tokens_1").dropout_rate == 0.3


@pytest.mark.every_backend
def test_one_seed_gives_the_same_weights_on_every_backend():
    model = keras_t2t.T2TViT(32, 2, 2, 2, input_shape=(32, 32, 3), classes=10)
    kinds = ("kernel", "class_token", "random_projection")
    drawn = [w.numpy() for w in model.weights if w.name in kinds]
    assert len(drawn) > 10
    total = sum(float(np.abs(draws).sum(dtype="float64")) for draws in drawn)
    assert total == pytest.approx(5492.395369900965, rel=1e-6)


AVERAGE = {"include_top": False, "pooling": "avg"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 3}, "`embed_dim` must be divisible by `num_heads`, got "),
        ({"classes": 2.5}, "`classes` must be a positive integer, got 2.5"),
        ({"mlp_ratio": None}, "`mlp_ratio` must be positive, got None"),
        ({"token_type": "conv"}, "`token_type` must be one of .*, got 'conv'"),
        ({"block_type": "wide"}, "`block_type` must be one of .*'se'.*, got 'wide'"),
        ({"block_type": "ghost", "mlp_ratio": 2.5}, "must be a whole number .* 2.5"),
        ({"block_type": "ghost", "embed_dim": 3, "num_heads": 1}, "must be even .* 3"),
        ({"block_type": "se", "embed_dim": 8}, "`embed_dim` must be at least 16 .* 8"),
        ({"growth": 0, "depth": (1, 1)}, "`growth` must be a positive integer, got 0"),
        ({"growth": 8}, r"`depth` must be .* such as \(3, 6, 6, 4\), got 2"),
        ({"growth": 8, "depth": (1, 0)}, r"`depth` must be .*, got \(1, 0\)"),
        ({"growth": 5, "depth": (2, 1)}, "`num_heads` must divide .* 32, 37, 21 wide"),
        ({"depth": (1, 2)}, r"`depth` must be a positive integer, got \(1, 2\)"),
        ({"remat": True, "dropout": 0.1}, "`remat=True` needs"),
        ({"remat": True, "attention_dropout": 0.1}, "`remat=True` needs"),
        ({"features": ["block_0"]}, "`features` need include_top=False and pooling"),
        ({"features": ["norm"], **AVERAGE}, "`features` need include_top=False and"),
        ({"features": ["x"], "include_top": False}, "'x' is no layer of t2t_vit; its"),
        ({"features": [], "include_top": False}, "`features` must name at least one"),
        ({"features": "norm", "include_top": False}, "`features` must be names of"),
        ({"token_type": "convolution", "token_dropout": 0.1}, "`token_dropout` must"),
        ({"pooling": "max"}, "`pooling` must be one of .*, got 'max'"),
        ({"pooling": "avg"}, "`pooling` needs include_top=False"),
        ({"drop_path": 1.0}, r"`drop_path` must be in \[0, 1\), got 1.0"),
        ({"dropout": None}, r"`dropout` must be in \[0, 1\), got None"),
        ({"input_shape": (15, 64, 3)}, "`input_shape` must be at least 16 px"),
        ({"input_shape": (None, 64, 3)}, "`input_shape` must be three integers"),
        ({"input_shape": (64, 64, 1), "include_preprocessing": True}, "3 channels"),
        ({"input_tensor": 3}, "`input_tensor` must be a Keras tensor, .*, got int"),
        ({"input_tensor": keras.Input((96, 64, 3))}, "`input_shape` .* does not match"),
        ({"weights": "no/such.keras"}, "`weights` must be .*, got 'no/such.keras'"),
        ({"weights": np.ones(2)}, "`weights` must be text or a path, got ndarray"),
        ({"input_shape": 5}, "`input_shape` must be three integers .*, got int 5"),
        ({"classes": True}, "`classes` must be a positive integer, got True"),
        ({"mlp_ratio": float("inf")}, "`mlp_ratio` must be positive, got inf"),
        ({"include_top": "no"}, "`include_top` must be True or False, got 'no'"),
        ({"token_type": ["x"]}, "`token_type` must be one of .*, got \\['x'\\]"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)


def test_numpy_s_numbers_are_python_s():
    """Keras refused them, or wrote configurations that could not be read."""
    shape = tuple(np.array((32, 32, 3)))
    model = tiny(classes=np.int64(7), depth=np.int32(1), input_shape=shape)
    assert model.output_shape == (None, 7)
    keras.models.model_from_json(model.to_json())
