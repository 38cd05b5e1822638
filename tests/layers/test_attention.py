"""The ways to compute attention."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_t2t.layers import (
    MultiHeadSelfAttention,
    TokenTransformer,
    attention,
    platform,
)
from keras_t2t.layers.attention import scaled_dot_product_attention
from tests.layers.test_dense import outputs_and_step


def test_attention_with_dropout_equals_the_fused_one():
    random = np.random.default_rng(0)
    q, k, v = ops.convert_to_tensor(random.normal(size=(3, 2, 5, 3, 4)), "float32")
    fused = scaled_dot_product_attention(q, k, v, scale=0.7)
    explicit = scaled_dot_product_attention(q, k, v, scale=0.7, dropout=lambda p: p)
    np.testing.assert_allclose(
        ops.convert_to_numpy(explicit), ops.convert_to_numpy(fused), atol=1e-5
    )


def test_attention_dropout_acts_in_training():
    layer = MultiHeadSelfAttention(2, attention_dropout=0.5)
    x = ops.ones((1, 9, 8))
    inference, *training = (
        ops.convert_to_numpy(layer(x, training=each)) for each in (False, True, True)
    )
    assert not np.array_equal(*training)
    assert not np.array_equal(inference, training[0])


def with_random_weights(tokens):
    """A layer for `(batch, tokens, 8)`."""
    layer = MultiHeadSelfAttention(2)
    layer.build((None, tokens, 8))
    random = np.random.default_rng(0)
    layer.set_weights([random.normal(size=w.shape) for w in layer.weights])
    return layer


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="it has its own")
def test_queries_in_chunks(monkeypatch):
    """As for images so large that all scores at once would not fit."""
    whole = outputs_and_step(with_random_weights(9), (3, 9, 8))
    monkeypatch.setattr(attention, "MAX_SCORES", 4 * 9)  # chunks of 4, 4 and 1
    chunks = outputs_and_step(with_random_weights(9), (3, 9, 8))
    for a, b in zip(chunks, whole, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.nightly_elsewhere
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX's kernel")
@pytest.mark.parametrize("tokens", [4, 5])
def test_padded_attention_equals_the_ordinary_one(tokens, monkeypatch):
    """By XLA, of what `benchmarks/gpu.py` measures by cuDNN's kernel."""
    import jax

    from benchmarks import padded_attention

    layer = with_random_weights(tokens)
    random = np.random.default_rng(1)
    x, direction = random.normal(size=(2, 3, tokens, 8)).astype("float32")
    weights = [weight.value for weight in layer.weights]

    def outputs_and_gradients():
        def call(x, weights):
            return layer.stateless_call(weights, [], x, training=True)[0]

        outputs, backward = jax.vjp(call, x, weights)
        return jax.tree.leaves([outputs, backward(direction)])

    ordinary = outputs_and_gradients()
    called = []

    def kernel(q, *args, implementation, **kwargs):
        assert implementation == "xla"
        called.append(q.shape[1])
        return original(q, *args, implementation=implementation, **kwargs)

    original = jax.nn.dot_product_attention
    monkeypatch.setattr(jax.nn, "dot_product_attention", kernel)
    # What `install` replaces comes back after the test.
    monkeypatch.setattr(
        attention, "scaled_dot_product_attention", scaled_dot_product_attention
    )
    padded_attention.install()
    padded = outputs_and_gradients()
    assert called == [4 if tokens == 4 else 6]
    assert len(padded) == 5  # the outputs; gradients of x, qkv, projection and its bias
    for a, b in zip(padded, ordinary, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)  # of numbers up to about 20


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="a rule of JAX's kernel")
def test_no_training_through_a_kernel_without_gradient(monkeypatch):
    """Keras logs a traceback per layer where cuDNN's attention has no gradient."""
    called = []

    def kernel(q, k, v, scale):
        called.append(q.shape[1])
        return v

    monkeypatch.setattr(platform, "jax_platform", lambda: "gpu")
    monkeypatch.setattr(ops, "dot_product_attention", kernel)
    for tokens in (8, 9):
        for remat in (False, True):
            layer = MultiHeadSelfAttention(2, remat=remat, dtype="bfloat16")
            x = np.ones((1, tokens, 8))
            layer(x)
            layer(x, training=True)
    assert called == [8] * 4 + [9] * 2
    called.clear()
    layer, x = TokenTransformer(8, dtype="bfloat16"), np.ones((1, 3, 3, 8))
    layer(x)
    layer(x, training=True)
    assert called == [9]
