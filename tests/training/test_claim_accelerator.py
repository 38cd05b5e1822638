"""The study on an accelerator, at toy size; its epoch is a program of JAX."""

import json

import keras
import numpy as np
import pytest

from benchmarks import claim, claim_accelerator

jax = pytest.importorskip("jax")
of_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX")
pytestmark = [pytest.mark.nightly, of_jax]


@pytest.fixture
def data(monkeypatch):
    """16 training images and 6 others of 32 px, batches of 4, and one small design."""
    small = claim.DESIGNS["t2t"]._replace(embed_dim=16, depth=1, num_heads=2)
    monkeypatch.setitem(claim.DESIGNS, "t2t", small)
    monkeypatch.setattr(claim_accelerator, "SIZE", 32)
    monkeypatch.setattr(claim_accelerator, "BATCH_SIZE", 4)
    monkeypatch.setattr(claim, "LOOKED_AT", 1)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (22, 32, 32, 3), dtype="uint8")
    labels = random.integers(0, 10, 22)
    return claim.Data(images[:16], labels[:16], images[16:], labels[16:])


def test_from_training_as_keras_trains_to_the_result(data, tmp_path, monkeypatch):
    monkeypatch.setattr(claim_accelerator, "augmented", lambda key, images: images)
    claim_accelerator.train("t2t", data, tmp_path, epochs=2, policy="float32")
    mine = json.loads((tmp_path / "history.json").read_text())

    keras.utils.set_random_seed(0)
    model = claim.DESIGNS["t2t"].build(32)
    claim.compiled(model, claim_accelerator.RATE, steps=8)
    for epoch in range(2):
        key = jax.random.fold_in(jax.random.key(0), epoch)
        losses = []
        for chosen in np.asarray(jax.random.permutation(key, 16)).reshape(4, 4):
            x = claim.standardised(data.images[chosen])
            y = np.eye(10, dtype="float32")[data.labels[chosen]]
            model.reset_metrics()
            losses.append(model.train_on_batch(x, y)[0])
        # 1e-4: it is written with four digits.
        assert mine["loss"][epoch] == pytest.approx(np.mean(losses), abs=1e-4)
    trained = claim.DESIGNS["t2t"].build(32)
    trained.load_weights(tmp_path / "model.weights.h5")
    for one, other in zip(trained.weights, model.weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)

    result = claim_accelerator.result("t2t", data, tmp_path)
    assert result["loss"] == mine["loss"]
    logits = model.predict(claim.standardised(data.test_images), verbose=0)
    assert result["top1"] == (logits.argmax(-1) == data.test_labels).mean()
    assert result["stages"][0] == "tokens_1"
