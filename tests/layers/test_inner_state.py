"""Layers inside layers keep their state, whichever way Keras rebuilds them."""

import keras
import numpy as np
import pytest

import keras_t2t
from keras_t2t.layers.composite import attributes_of, inner_state, restore_inner_state

SHAPE = (32, 32, 3)


def saved(model, folder):
    model.save(folder / "model.keras")
    return keras.models.load_model(folder / "model.keras")


WAYS = {
    "saved": saved,
    "cloned": lambda model, folder: keras.models.clone_model(model),
    "config": lambda model, folder: keras.Model.from_config(model.get_config()),
}


def backbone(token_type="performer", block_type="standard"):
    settings = {"include_top": False, "pooling": "avg", "input_shape": SHAPE}
    return keras_t2t.T2TViT(16, 1, 2, 2, token_type, block_type, **settings)


def trainable(model):
    """How each weight is, in the order of the layers."""
    return [weight.trainable for weight in model.weights]


@pytest.mark.usefixtures("unset_weights")
@pytest.mark.parametrize("token_type", ["transformer", "performer", "convolution"])
@pytest.mark.parametrize("block_type", ["standard", "ghost", "se"])
def test_some_layers_and_parts_are_frozen(token_type, block_type, tmp_path):
    model = backbone(token_type, block_type)
    model.get_layer("block_0_mlp").contract.trainable = False
    if token_type != "convolution":
        model.get_layer("tokens_1").mlp.trainable = False
        model.get_layer("tokens_1").mlp.expand.trainable = True
    attention = model.get_layer("block_0_attention")
    attention.trainable = False
    attention.projection.trainable = True
    model.get_layer("project").trainable = False
    expected = trainable(model)
    assert len(set(expected)) == 2
    for way in WAYS.values():
        again = way(model, tmp_path)
        assert trainable(again) == expected
        assert trainable(keras.models.clone_model(again)) == expected


@pytest.mark.parametrize("way", WAYS)
def test_changed_settings_of_parts(way, tmp_path):
    model = backbone()
    mlp, tokens = model.get_layer("block_0_mlp"), model.get_layer("tokens_1")
    mlp.dropout.rate = 0.25
    mlp.expand.activation = keras.activations.relu
    mlp.contract.kernel_regularizer = keras.regularizers.L2(0.5)
    qkv = model.get_layer("block_0_attention").qkv
    qkv.bias_regularizer = keras.regularizers.L2(0.5)  # of a bias that it has not
    qkv.kernel_regularizer = keras.regularizers.L2(0.25)
    qkv.enable_lora(2)
    tokens.norm_1.epsilon = 1e-3
    tokens.mlp.contract.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
    for _ in range(2):
        model = WAYS[way](model, tmp_path)
        mlp, tokens = model.get_layer("block_0_mlp"), model.get_layer("tokens_1")
        assert mlp.dropout.rate == 0.25
        assert mlp.expand.activation is keras.activations.relu
        assert float(mlp.contract.kernel.regularizer.l2) == 0.5
        qkv = model.get_layer("block_0_attention").qkv
        assert float(qkv.bias_regularizer.l2) == 0.5
        assert float(qkv._kernel.regularizer.l2) == 0.25
        assert tokens.norm_1.epsilon == 1e-3
        assert tokens.mlp.contract.dtype_policy.name == "mixed_bfloat16"
        assert tokens.mlp.expand.dtype_policy.name == "float32"


@pytest.mark.once
@pytest.mark.parametrize("name", ["attention.attention_dropout", "mlp.hidden_dropout"])
def test_a_rate_that_is_raised_is_never_ignored(name):
    """Keras's Dropout has no seed to draw with if its rate was 0."""
    part, _, dropout = name.partition(".")
    layer = backbone().get_layer(f"block_0_{part}")
    getattr(layer, dropout).rate = 0.5
    with pytest.raises(AttributeError, match="seed_generator"):
        layer(np.zeros((1, 4, layer.input.shape[-1])), training=True)


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize("way", WAYS)
def test_low_rank_weights(way, tmp_path):
    model = backbone()
    for name in ("expand", "contract"):
        part = getattr(model.get_layer("block_0_mlp"), name)
        part.enable_lora(2, lora_alpha=4)
        part.lora_kernel_b.assign(np.full(part.lora_kernel_b.shape, 0.1))
    model.get_layer("tokens_1").kqv.enable_lora(3)
    model.get_layer("norm").trainable = False
    again = WAYS[way](model, tmp_path)
    assert trainable(again) == trainable(model)
    expand = again.get_layer("block_0_mlp").expand
    assert (expand.lora_rank, expand.lora_alpha) == (2, 4)
    assert np.any(keras.ops.convert_to_numpy(expand.lora_kernel_a))  # it can learn
    if way == "saved":
        x = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype("float32")
        np.testing.assert_allclose(
            again.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5
        )


def test_a_layer_that_is_not_built_keeps_what_it_was_told():
    layer = keras_t2t.layers.MLP(8)
    layer.build((None, 4))
    layer.expand.trainable = False
    config = layer.get_config()
    assert config["parts"] == {"expand": {"trainable": False}}
    copy = keras_t2t.layers.MLP.from_config(config)
    assert copy.get_config() == config
    copy.build((None, 4))
    assert copy.get_config() == config and not copy.expand.trainable
    with pytest.raises(ValueError, match="has no part 'other'"):
        restore_inner_state(copy, {"other": {}})
    with pytest.raises(ValueError, match="no attribute 'units'"):
        restore_inner_state(copy, {"expand": {"attributes": {"units": 3}}})
    layer = keras_t2t.layers.MLP(8)
    assert inner_state(layer, attributes_of(layer)) == {}
