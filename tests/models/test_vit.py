"""The plain ViT: what differs from T2T-ViT."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_t2t
from keras_t2t.variants import VIT_VARIANTS

pytestmark = pytest.mark.once


def tiny(**kwargs):
    settings = {"embed_dim": 32, "depth": 1, "num_heads": 2, "mlp_ratio": 2}
    return keras_t2t.ViT(**{**settings, "input_shape": (48, 64, 3), **kwargs})


def test_layer_names_are_stable():
    assert [layer.name for layer in tiny(dropout=0.1).layers] == [
        *("image", "project", "flatten_grid", "class_token", "position_embedding"),
        *("embedding_dropout", "block_0_norm_1", "block_0_attention", "block_0_add"),
        *("block_0_norm_2", "block_0_mlp", "block_0", "norm"),
        *("class_token_output", "class_token_features", "head"),
    ]


@pytest.mark.parametrize(
    ("patch_size", "grid"), [(16, (3, 4)), (8, (6, 8)), (48, (1, 1)), (20, (2, 3))]
)
@pytest.mark.every_backend
def test_patches(patch_size, grid):
    """A token is the projection of one whole patch."""
    model = tiny(patch_size=patch_size)
    project = model.get_layer("project")
    assert project.output.shape[1:] == (*grid, 32)
    x = np.random.default_rng(0).normal(size=(1, 48, 64, 3)).astype("float32")
    tokens = ops.convert_to_numpy(project(ops.convert_to_tensor(x)))
    patch = x[0, :patch_size, :patch_size].reshape(-1)
    expected = patch @ project.kernel.numpy().reshape(-1, 32)
    np.testing.assert_allclose(tokens[0, 0, 0], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "epsilon", "bias"),
    [("ViTS16", 1e-5, False), ("ViTB16", 1e-6, True), ("ViTL16", 1e-6, True)],
)
def test_the_papers_settings(name, epsilon, bias):
    """In parity of whole models, an epsilon shows at night only."""
    settings = {**VIT_VARIANTS[name].architecture, "embed_dim": 48, "depth": 1}
    model = keras_t2t.ViT(**settings, input_shape=(32, 32, 3))
    norms = [x for x in model.layers if isinstance(x, keras.layers.LayerNormalization)]
    assert [norm.epsilon for norm in norms] == [epsilon] * 3
    assert model.get_layer("block_0_attention").qkv.use_bias == bias


def test_positions_start_small():
    table = tiny().get_layer("position_embedding").table
    assert abs(table.numpy().std() - 0.02) < 4e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 3}, "`embed_dim` must be divisible by `num_heads`, got "),
        ({"patch_size": 0}, "`patch_size` must be a positive integer, got 0"),
        ({"patch_size": 50}, r"`patch_size` must be at most .*, got 50 for .*\(48, 64"),
        ({"remat": True, "dropout": 0.1}, "`remat=True` needs"),
        ({"features": ["norm"]}, "`features` need include_top=False and pooling"),
        ({"epsilon": float("nan")}, "`epsilon` must be positive, got nan"),
        ({"qkv_bias": "yes"}, "`qkv_bias` must be True or False, got 'yes'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        tiny(**arguments)


@pytest.mark.nightly
def test_resnet50_is_that_of_keras():
    keras.config.set_image_data_format("channels_first")
    try:
        model = keras_t2t.ResNet50(
            input_shape=(32, 48, 3), classes=5, include_preprocessing=True
        )
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format("channels_last")
    plain = keras.applications.ResNet50(
        weights=None, input_shape=(32, 48, 3), classes=5
    )
    plain.set_weights(model.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), "uint8")
    x = keras_t2t.preprocess_input(pixels)
    found, expected = map(ops.convert_to_numpy, (model(pixels), plain(x)))
    np.testing.assert_allclose(found, expected, atol=1e-5)
