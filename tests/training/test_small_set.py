"""What fine-tuning on few photographs needs: rates by depth, class weights, an end."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

import keras_t2t
from keras_t2t.training import TrainingConfig
from keras_t2t.training.losses import BalancedCrossentropy
from keras_t2t.training.optimizer import rate_shares
from keras_t2t.training.progress import Progress
from tests.training.conftest import history


@pytest.mark.parametrize("heads", [["head"], ["head", "aux_head"]])
def test_rates_fall_from_the_heads_to_the_tokens(heads):
    settings = {"input_shape": (32, 32, 3), "token_labelling": len(heads) == 2}
    model = keras_t2t.T2TViT(32, 3, 2, 2, classes=4, **settings)
    shares = rate_shares(model, backbone_rate=0.5, layer_decay=0.1)
    found = {}
    for layer in model.layers:
        for weight in layer.trainable_weights:
            i = next(i for i, w in enumerate(model.trainable_weights) if w is weight)
            part = layer.name[:7] if layer.name.startswith("block") else layer.name
            found.setdefault(part, set()).add(round(shares[i], 9))
    for head in heads:
        assert found.pop(head) == {1.0}
    assert found.pop("norm") == {0.5}
    for block, share in (("block_2", 0.05), ("block_1", 0.005), ("block_0", 0.0005)):
        assert found.pop(block) == {share}
    assert set().union(*found.values()) == {0.00005} and len(found) >= 3


def test_the_balanced_loss_against_numpy():
    random = np.random.default_rng(0)
    logits = random.normal(size=(6, 3)).astype("float32")
    labels = np.eye(3, dtype="float32")[[0, 1, 2, 0, 0, 1]]
    loss = BalancedCrossentropy([60, 30, 10], label_smoothing=0.1)
    weights = 100 / (3 * np.array([60, 30, 10]))
    scores = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    targets = 0.9 * labels + 0.1 / 3
    expected = -(weights * targets * scores).sum(axis=1).mean()
    tensor = ops.convert_to_tensor(logits)
    assert float(loss(labels, tensor)) == pytest.approx(expected, rel=1e-5)
    even = BalancedCrossentropy([5, 5, 5], label_smoothing=0.1)
    plain = keras.losses.CategoricalCrossentropy(True, 0.1)
    assert float(even(labels, tensor)) == pytest.approx(float(plain(labels, tensor)))


def test_where_it_stalls():
    progress = Progress(10, 5, patience=2)
    for score, stalled in ((0.5, False), (0.7, False), (0.7, False), (0.6, True)):
        progress.history.append({"val_top1": score})
        assert progress.stalled == progress.finished == stalled
    assert progress.best_epoch == 1
    assert not dataclasses.replace(progress, patience=0).stalled


@pytest.mark.nightly_elsewhere
def test_a_run_ends_early_with_its_best_weights(tiny_run, tmp_path, monkeypatch):
    """And a resumed one where it would have ended."""
    result = tiny_run(patience=1, epochs=8, learning_rate=0.2)
    assert result["epochs"] < 8
    scores = [row["val_top1"] for row in history(tmp_path / "run")]
    assert len(scores) == result["epochs"]
    assert result["val_top1"] == pytest.approx(max(scores))
    final = keras.saving.load_model(tmp_path / "run" / "final.keras")
    best = keras.models.clone_model(final)
    best.load_weights(tmp_path / "run" / "best.weights.h5")
    for one, other in zip(final.get_weights(), best.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert tiny_run(patience=1, epochs=8, learning_rate=0.2, resume=True) == result


def test_a_row_for_small_sets():
    config = TrainingConfig(recipe="small_set", weights="imagenet")
    filled = config.with_defaults("flowers", 5, 900)
    assert (filled.optimizer, filled.layer_decay) == ("adamw", 0.75)
    assert (filled.class_weights, filled.patience) == ("balanced", 10)
    scratch = TrainingConfig(recipe="small_set").with_defaults("flowers", 5)
    assert scratch.layer_decay == 1
    authors = TrainingConfig(weights="imagenet").with_defaults("flowers", 5)
    assert (authors.recipe, authors.optimizer) == ("authors", "sgd")
    with pytest.raises(ValueError, match="optimizer='sgd' needs"):
        TrainingConfig(optimizer="sgd").with_defaults("flowers", 5)
