"""The study on an accelerator, at toy size; its epoch is a program of JAX."""

import functools

import keras
import numpy as np
import pytest

from benchmarks import claim

jax = pytest.importorskip("jax")
of_jax = pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX")
pytestmark = [pytest.mark.nightly, of_jax]


def test_training_and_its_row_are_those_of_keras(monkeypatch):
    small = claim.DESIGNS["t2t"]._replace(embed_dim=16, depth=1, num_heads=2)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (22, 32, 32, 3), dtype="uint8")
    labels = random.integers(0, 10, 22)
    data = claim.Data(images[:16], labels[:16], images[16:], labels[16:])
    trained = functools.partial(claim.trained_on_device, epochs=2, policy="float32")
    changes = {"DESIGNS": {"t2t": small}, "DEVICE_BATCH_SIZE": 4}
    changes |= {"augmented_on_device": lambda key, images: images, "LOOKED_AT": 1}
    for name, value in changes.items():
        monkeypatch.setattr(claim, name, value)
    row = claim.train(claim.Run("t2t", 16, 0, 1e-3, size=32), data, trained)

    keras.utils.set_random_seed(0)
    model = small.build(32)
    claim.compiled(model, 1e-3, steps=8)
    for epoch in range(2):
        key = jax.random.fold_in(jax.random.key(0), epoch)
        losses = []
        for chosen in np.asarray(jax.random.permutation(key, 16)).reshape(4, 4):
            x = claim.standardised(data.images[chosen])
            y = np.eye(10, dtype="float32")[data.labels[chosen]]
            model.reset_metrics()
            losses.append(model.train_on_batch(x, y)[0])
        # 1e-4: it is written with four digits.
        assert row["loss"][epoch] == pytest.approx(np.mean(losses), abs=1e-4)
    logits = model.predict(claim.standardised(data.test_images), verbose=0)
    assert row["top1"] == (logits.argmax(-1) == data.test_labels).mean()
    assert row["stages"][0] == "tokens_1"
    keras.utils.set_random_seed(0)
    one, _ = trained(small, (data.images, data.labels), 1e-3, 0)
    for mine, other in zip(one.weights, model.weights, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-5)
