"""Features inside a model come on their grid, the same as its layers give."""

import keras
import numpy as np
import pytest

import keras_t2t
from tests.models.test_every_model import TINY
from tests.shared_case import random_input, randomized

SIZE = (48, 80, 3)
GRIDS = {"tokens_1": (12, 20), "tokens_2": (6, 10)}  # of others (3, 5)
NAMES = (*GRIDS, "project", "block_1", "norm")


@pytest.mark.nightly_elsewhere
def test_grids_are_the_layers_outputs(tmp_path):
    settings = {**TINY, "input_shape": SIZE, "include_top": False}
    whole = randomized(keras_t2t.T2TViT(**settings))
    assert keras_t2t.list_features(whole) == [*NAMES[:3], "block_0", *NAMES[3:]]
    path = tmp_path / "whole.weights.h5"
    whole.save_weights(path)
    # Asking twice for one is asking once.
    asked = (*NAMES, "block_1")
    model = keras_t2t.T2TViT(**settings, features=asked, weights=path)
    images = random_input(whole)
    found = model.predict(images, verbose=0)
    assert set(found) == set(NAMES)
    for name in NAMES:
        rows, columns = GRIDS.get(name, (3, 5))
        cut = keras.Model(whole.input, whole.get_layer(name).output)
        expected = cut.predict(images, verbose=0)
        if name in ("block_1", "norm"):
            expected = expected[:, 1:]  # the class token lies on no grid
        expected = np.reshape(expected, (2, rows, columns, -1))
        # Another graph may be computed in another order.
        np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.once
def test_a_vit_has_them_too():
    settings = {**TINY, "input_shape": SIZE, "include_top": False}
    model = keras_t2t.ViT(**settings, features=["project", "block_0"])
    for name in ("project", "block_0"):
        assert model.output[name].shape == (None, 3, 5, 32)
    # What comes after the last of them is not there to be computed.
    assert "norm" not in [layer.name for layer in model.layers]


@pytest.mark.once
def test_a_checkpoint_goes_into_a_whole_model(tmp_path):
    settings = {**TINY, "input_shape": SIZE, "include_top": False}
    model = keras_t2t.T2TViT(**settings, features=("block_0",))
    path = tmp_path / "x.weights.h5"
    keras_t2t.T2TViT(**settings).save_weights(path)
    with pytest.raises(ValueError, match="`model`"):
        keras_t2t.load_checkpoint(model, path)
    with pytest.raises(ValueError, match="`model`"):
        keras_t2t.save_official(model, tmp_path / "x.pth.tar")
