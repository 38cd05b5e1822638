"""The second head of token labelling, through files and at other class counts."""

import numpy as np
import pytest
import torch

from tests.checkpoints import helpers


@pytest.fixture(scope="module")
def oracle():
    return helpers.random_oracle(size=(64, 96), token_labelling=True)


@pytest.fixture
def path(oracle, tmp_path):
    path = tmp_path / "84.2_T2T_ViT_24.pth.tar"
    torch.save({"state_dict": oracle.state_dict()}, path)
    return path


def build(**kwargs):
    return helpers.build(size=(64, 96), **{"token_labelling": True, **kwargs})


@pytest.mark.nightly_elsewhere
def test_every_class_takes_its_best_token(oracle, path):
    """By hand from the tokens; test_parity.py has the oracle's rule."""
    model, image = build(weights=path), helpers.photograph((64, 96))
    tokens = build(include_top=False, weights=path).predict(image, verbose=0)[0]
    weights = {k: v.numpy() for k, v in oracle.state_dict().items()}
    expected = weights["head.weight"] @ tokens[0] + weights["head.bias"]
    by_token = tokens[1:] @ weights["aux_head.weight"].T + weights["aux_head.bias"]
    expected += by_token.max(axis=0) / 2
    actual = model.predict(image, verbose=0)[0]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=helpers.TOLERANCE)


def test_another_class_count_keeps_both_fresh_heads(path, caplog):
    model = build(weights=path, classes=4)
    assert "head for 10 classes and the model for 4" in caplog.text
    helpers.assert_equal_weights(model, build(weights=path), ["head", "aux_head"])


def test_models_with_and_without_it_refuse_each_other(path, tmp_path):
    with pytest.raises(ValueError, match="MLP ratio 2 and token labelling, but the mo"):
        build(weights=path, token_labelling=False)
    plain = build(token_labelling=False)
    plain.save_weights(tmp_path / "plain.weights.h5")
    with pytest.raises(ValueError, match=r"is a T2T-ViT .* and token labelling$"):
        build(weights=tmp_path / "plain.weights.h5")
