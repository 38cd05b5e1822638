"""Feature maps: the model's own, on their grid; and which channels show nothing."""

import keras
import numpy as np
import pytest
from keras import ops

import keras_t2t
from keras_t2t import visualization
from keras_t2t.visualization import image_view
from tests.visualization import small_models
from tests.visualization.small_models import PHOTOGRAPH, SHAPE, SMALL


def test_tokens_are_put_back_on_their_grid():
    """Token 1 + 4 i + j lies at row i and column j; the rest of the model is real."""
    model = small_models.model("performer")
    inputs = image_view.model_input(model, image_view.model_view(model, PHOTOGRAPH))
    features = visualization.feature_maps(model, PHOTOGRAPH, ["project", "block_1"])
    inside = keras.Model(model.input, model.get_layer("block_1").output)
    tokens = ops.convert_to_numpy(inside(inputs, training=False))[0]
    assert tokens.shape == (13, 32)
    for row, column in np.ndindex(3, 4):
        found = features["block_1"][row, column]
        np.testing.assert_array_equal(found, tokens[1 + 4 * row + column])
    assert features["project"].shape == (3, 4, 32)


def test_stages_and_their_defaults():
    performer, resnet = small_models.model("performer"), small_models.resnet50()
    settings = {"token_type": "convolution", "input_shape": SHAPE}
    convolutions = keras_t2t.T2TViT(**SMALL, **settings)
    last, tokens = ["project", "block_0", "block_1", "norm"], ["tokens_1", "tokens_2"]
    for model, names in (
        (performer, tokens + last),
        (small_models.model("vit"), last),
        (convolutions, ["convolution_0", "convolution_1", *last]),
    ):
        assert visualization.stage_names(model) == names
    assert visualization.default_stages(performer) == [*tokens, "block_0", "block_1"]
    # The 1st, 25th and 49th of 50 convolutions.
    names = ["conv1_relu", "conv4_block1_out", "conv5_block3_out"]
    assert visualization.default_stages(resnet) == names
    shapes = [x.shape for x in visualization.feature_maps(resnet, PHOTOGRAPH).values()]
    assert shapes == [(16, 16, 64), (2, 2, 1024), (1, 1, 2048)]


def test_other_networks_and_layers():
    # `conv1_relu` is also DenseNet's and MobileNet's, and not all of them.
    for first in ("lines", "conv1_relu", "project", "norm"):
        inputs = x = keras.Input((16, 16, 3))
        names = [first, "second", "third"]
        for name in names:
            x = keras.layers.Conv2D(4, 3, name=name)(x)
        model = keras.Model(inputs, keras.layers.Flatten(name="flat")(x), name="own")
        assert visualization.stage_names(model) == names
        assert visualization.default_stages(model) == names
    features = visualization.feature_maps(model, PHOTOGRAPH)
    assert [x.shape for x in features.values()] == [(n, n, 4) for n in (14, 12, 10)]
    sequential = keras.Sequential(model.layers)
    seen = visualization.observe(sequential, PHOTOGRAPH)
    for name, expected in features.items():
        np.testing.assert_array_equal(seen.features[name], expected)
    np.testing.assert_array_equal(seen.output, features["third"].reshape(-1))
    with pytest.raises(ValueError, match="`stages`: 'flat' is not on a grid of own;"):
        visualization.feature_maps(model, PHOTOGRAPH, "flat")
    # Layers that are no stage of the list can still be asked for.
    performer = small_models.model("performer")
    features = visualization.feature_maps(performer, PHOTOGRAPH, "block_0_norm_2")
    assert features["block_0_norm_2"].shape == (3, 4, 32)
    unbuilt = keras.Sequential([keras.layers.Conv2D(4, 3, name="block_0")])
    for model in ("T2TViT14", unbuilt, keras.Model()):
        for stages in (None, ["block_0"]):
            with pytest.raises(ValueError, match="functional or a built Seq"):
                visualization.feature_maps(model, PHOTOGRAPH, stages)


def test_dead_and_saturated_channels():
    features = np.random.default_rng(0).uniform(0.5, 1, (5, 6, 8))
    features[..., 2] = 0
    features[..., 4] *= 0.009  # of a median of about 1
    features[..., 5] *= -20
    features[..., 6] = 0
    features[1, 2, 6] = 0.5  # alive in one place
    states = visualization.channel_states(features)
    assert np.flatnonzero(states.dead).tolist() == [2, 4]
    assert np.flatnonzero(states.saturated).tolist() == [5]
    states = visualization.channel_states(np.zeros((2, 2, 3)))
    assert states.dead.all()
    assert not states.saturated.any()


def test_what_is_no_number_is_not_dead():
    features = np.full((2, 2, 3), np.nan)
    assert not visualization.channel_states(features).dead.any()
    model = small_models.model.__wrapped__("performer")  # not the one of other tests
    model.get_layer("block_0_norm_2").gamma.assign(np.full(32, np.inf))
    with pytest.raises(FloatingPointError, match="no numbers at block_0"):
        visualization.depth_statistics(model, [PHOTOGRAPH])
