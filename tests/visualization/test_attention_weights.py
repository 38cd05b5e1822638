"""Attention maps are those of the forward pass: they give its output again."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_t2t import visualization
from keras_t2t.layers import MultiHeadSelfAttention, TokenPerformer
from keras_t2t.visualization import image_view
from keras_t2t.visualization.attention_weights import (
    attention_probabilities,
    backbone_attention,
    token_layers,
)
from keras_t2t.visualization.probe import Probe, to_array
from tests.shared_case import outputs
from tests.visualization import small_models
from tests.visualization.small_models import DESIGNS, PHOTOGRAPH


@pytest.mark.nightly_elsewhere
@pytest.mark.parametrize(
    "design",
    [
        pytest.param(name, marks=pytest.mark.once) if name == "dense, se" else name
        for name in DESIGNS
    ],
)
def test_the_probabilities_reproduce_the_layers(design, monkeypatch):
    """Every attention is replaced by its probabilities times the values."""
    model = small_models.model(design)
    view = image_view.model_view(model, PHOTOGRAPH)
    inputs = image_view.model_input(model, view)
    names = token_layers(model) + backbone_attention(model)
    assert len(names) == (2 if design == "vit" else 4)
    _, before, _ = Probe(model, attention=names)(view)
    after = keras.Model(model.input, [model.get_layer(x).output for x in names])(inputs)
    for name, expected in zip(names, map(to_array, after), strict=True):
        layer, x = model.get_layer(name), before[name]
        replace_by_probabilities(layer, x, monkeypatch)
        # float32 sums in another order.
        again = to_array(layer(x, training=False))
        np.testing.assert_allclose(again, expected, rtol=1e-5, atol=1e-5)


def replace_by_probabilities(layer, x, monkeypatch):
    """`layer` averages the values of `x` by `attention_probabilities`."""
    weights = attention_probabilities(layer, x)

    def attend(qkv, training):  # of token layers
        values = ops.split(qkv, 3, axis=-1)[2]
        return ops.matmul(weights[:, 0], values), values

    def attended(x, training):  # of the blocks
        values = ops.transpose(layer.qkv_of(x)[2], (0, 2, 1, 3))
        heads = ops.transpose(ops.matmul(weights, values), (0, 2, 1, 3))
        return layer.projection(ops.reshape(heads, x.shape))

    if isinstance(layer, MultiHeadSelfAttention):
        monkeypatch.setattr(layer, "attended", attended)
    else:
        monkeypatch.setattr(layer, "attend", attend)


@pytest.mark.nightly_elsewhere
def test_rows_sum_to_one_and_looking_changes_nothing():
    model = small_models.model("performer")
    view = image_view.model_view(model, PHOTOGRAPH)
    inputs = image_view.model_input(model, view)
    before = outputs(model, inputs)
    names = token_layers(model) + backbone_attention(model)
    maps = visualization.attention_maps(model, PHOTOGRAPH, names)
    *_, output = Probe(model, attention=names)(view)
    np.testing.assert_array_equal(to_array(output), before)
    np.testing.assert_array_equal(outputs(model, inputs), before)

    assert {name: map.shape for name, map in maps.items()} == {
        "tokens_1": (1, 12 * 16, 12 * 16),
        "tokens_2": (1, 6 * 8, 6 * 8),
        "block_0_attention": (2, 13, 13),
        "block_1_attention": (2, 13, 13),
    }
    for map in maps.values():
        assert map.min() >= 0
        # Of the Performer S / (S + 1e-8), with S far above that here.
        np.testing.assert_allclose(map.sum(axis=-1), 1, rtol=1e-5)
        assert map.std(axis=-1).max() > 0.01 / map.shape[-1]  # not uniform

    row = visualization.token_attention(model, PHOTOGRAPH, "tokens_2", (1, 3))
    expected = maps["tokens_2"][0, 1 * 8 + 3].reshape(6, 8)
    np.testing.assert_allclose(row, expected, rtol=1e-5, atol=1e-8)
    of_class = visualization.class_attention(model, PHOTOGRAPH, block=0)
    expected = maps["block_0_attention"][:, 0, 1:].reshape(2, 3, 4)
    np.testing.assert_array_equal(of_class, expected)
    blocks = [maps[f"block_{i}_attention"] for i in range(2)]
    first, last = ((block.mean(axis=0) + np.eye(13)) / 2 for block in blocks)
    np.testing.assert_allclose(visualization.rollout(blocks), last @ first, rtol=1e-5)
    rollout = visualization.attention_rollout(model, PHOTOGRAPH)
    expected = (last @ first)[0, 1:].reshape(3, 4)
    np.testing.assert_allclose(rollout, expected, rtol=1e-5)


@pytest.mark.nightly_elsewhere
def test_the_performers_normalisation():
    """Against its definition in NumPy, where S is so small that 1e-8 shows."""
    layer = TokenPerformer(4, num_features=8)
    random = np.random.default_rng(1)
    x = random.normal(size=(1, 2, 3, 5)).astype("float32")
    layer(x)
    for weight, scale in ((layer.kqv.kernel, 1.4), (layer.random_projection, 1)):
        weight.assign(scale * random.normal(size=weight.shape))
    k, q, _ = np.split(ops.convert_to_numpy(layer.qkv_of(x))[0], 3, axis=-1)
    w = ops.convert_to_numpy(layer.random_projection)

    def phi(x):
        return np.exp(x @ w.T - (x**2).sum(-1, keepdims=True) / 2) / np.sqrt(8)

    similarity = phi(q) @ phi(k).T
    expected = similarity / (similarity.sum(axis=-1, keepdims=True) + 1e-8)
    actual = to_array(attention_probabilities(layer, x))[0, 0]
    # The exponential multiplies the rounding of its argument, here up to 30.
    np.testing.assert_allclose(actual, expected, rtol=1e-3)
    sums = actual.sum(axis=-1)
    assert sums.min() < 0.1 and sums.max() > 0.9


def test_bad_input():
    model = small_models.model("performer")
    with pytest.raises(ValueError, match=r"'resnet50' has no attention: give a T2T"):
        visualization.attention_maps(small_models.resnet50(), PHOTOGRAPH)
    image = keras.Input(model.input_shape[1:])
    nested = keras.Model(image, model(image))
    with pytest.raises(ValueError, match=r"give model\.get_layer\('t2t_vit'\)"):
        visualization.attention_maps(nested, PHOTOGRAPH)
    with pytest.raises(ValueError, match=r"'mlp' is no .*; these are tokens_1, tok"):
        visualization.attention_maps(model, PHOTOGRAPH, "mlp")
    with pytest.raises(ValueError, match=r"'tokens_1' is no token.* of vit, "):
        visualization.token_attention(small_models.model("vit"), PHOTOGRAPH)
    with pytest.raises(ValueError, match="functional or a built Sequential keras"):
        visualization.token_attention("T2TViT7", PHOTOGRAPH)
    for token in ((12, 0), (0, -1), (0.5, 0.5), (0, 1, 2), "no", 3):
        with pytest.raises(ValueError, match=r"on the 12 x 16 grid of tokens_1, got"):
            visualization.token_attention(model, PHOTOGRAPH, token=token)
