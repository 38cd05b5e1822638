"""The second head of token labelling, through files and at other class counts."""

import numpy as np
import pytest
import torch

import keras_t2t
from keras_t2t.checkpoints import CheckpointFile
from tests.checkpoints import helpers
from tests.reference import t2t_vit as reference

SETTINGS = {**helpers.SMALL, "token_labelling": True}


@pytest.fixture(scope="module")
def oracle():
    model = reference.T2TViT(**SETTINGS, image_size=(64, 96), num_classes=10)
    return reference.randomize_(model, seed=0).eval()


@pytest.fixture
def path(oracle, tmp_path):
    path = tmp_path / "84.2_T2T_ViT_24.pth.tar"
    torch.save({"state_dict": oracle.state_dict()}, path)
    return path


def build(**kwargs):
    return helpers.build(size=(64, 96), **{"token_labelling": True, **kwargs})


@pytest.mark.nightly_elsewhere
def test_a_checkpoint_gives_the_oracle_s_logits(oracle, path):
    model = build(weights=path)
    helpers.assert_holds(model, oracle)
    helpers.assert_same_logits(model, oracle)


def test_every_class_takes_its_best_token(oracle, path):
    """By hand from the tokens, not by the oracle's rule."""
    model = build(weights=path)
    tokens = build(include_top=False, weights=path)
    x = helpers.photograph((64, 96))
    x = np.asarray(tokens.predict(x, verbose=0), "float64")[0]
    weights = {k: v.double().numpy() for k, v in oracle.state_dict().items()}
    expected = weights["head.weight"] @ x[0] + weights["head.bias"]
    for class_ in range(10):
        logits = x[1:] @ weights["aux_head.weight"][class_]
        expected[class_] += 0.5 * (logits.max() + weights["aux_head.bias"][class_])
    actual = model.predict(helpers.photograph((64, 96)), verbose=0)[0]
    np.testing.assert_allclose(actual, expected, rtol=0, atol=helpers.TOLERANCE)


def test_another_class_count_keeps_both_fresh_heads(path, caplog):
    model = build(weights=path, classes=4)
    assert "head for 10 classes and the model for 4" in caplog.text
    helpers.assert_equal_weights(model, build(weights=path), ["head", "aux_head"])
    for name in ("head", "aux_head"):
        assert model.get_layer(name).units == 4


def test_models_with_and_without_it_refuse_each_other(path, tmp_path):
    with pytest.raises(ValueError, match="MLP ratio 2 and token labelling, but the mo"):
        build(weights=path, token_labelling=False)
    plain = build(token_labelling=False)
    plain.save_weights(tmp_path / "plain.weights.h5")
    with pytest.raises(ValueError, match=r"is a T2T-ViT .* and token labelling$"):
        build(weights=tmp_path / "plain.weights.h5")


@pytest.mark.nightly  # 65 M parameters
def test_a_file_tells_the_variant(tmp_path):
    model = keras_t2t.T2TViT24TokenLabelling(input_shape=(32, 32, 3), classes=3)
    model.save_weights(tmp_path / "model.weights.h5")
    found = CheckpointFile(tmp_path / "model.weights.h5").description()
    assert found == ("T2TViT24TokenLabelling", 3, (2, 2))
