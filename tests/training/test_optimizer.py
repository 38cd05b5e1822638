"""The learning rate over a run, and which weights decay."""

from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

import keras_t2t
from keras_t2t.training.optimizer import adamw, warmup_cosine


def test_warmup_then_cosine_to_zero():
    schedule = warmup_cosine(peak=2.0, warmup_steps=10, total_steps=110)
    rates = [float(ops.convert_to_numpy(schedule(step))) for step in range(0, 111, 5)]
    expected = [0.0, 1.0]
    expected += [1 + np.cos(np.pi * (s - 10) / 100) for s in range(10, 111, 5)]
    np.testing.assert_allclose(rates, expected, atol=1e-5)


def test_no_warmup_starts_at_the_peak():
    schedule = warmup_cosine(peak=2.0, warmup_steps=0, total_steps=10)
    assert float(ops.convert_to_numpy(schedule(0))) == 2.0


@pytest.mark.parametrize(
    "build",
    [keras_t2t.T2TViT, partial(keras_t2t.T2TViT, block_type="ghost"), keras_t2t.ViT],
)
def test_only_kernels_decay(build):
    """With zero gradients a step shrinks what is decayed and nothing else: neither
    biases and norms, nor the class token and a learned position table."""
    model = build(32, 1, 2, 2, input_shape=(32, 32, 3), classes=4)
    for weight in model.trainable_weights:
        weight.assign(weight.numpy() + 1.0)
    optimizer = adamw(model, learning_rate=0.5, weight_decay=0.2)
    before = [weight.numpy() for weight in model.trainable_weights]
    zeros = [ops.zeros(weight.shape) for weight in model.trainable_weights]
    optimizer.apply(zeros, model.trainable_weights)
    for weight, old in zip(model.trainable_weights, before, strict=True):
        decayed = weight.name in ("kernel", "scale")
        expected = old * (1 - 0.5 * 0.2) if decayed else old
        np.testing.assert_allclose(weight.numpy(), expected, rtol=1e-6)
    assert isinstance(optimizer, keras.optimizers.AdamW)
