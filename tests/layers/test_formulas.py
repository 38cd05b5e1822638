"""What single layers compute, against their formulas; and the Performer's precision."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_t2t.layers import SinusoidPositionEmbedding, SoftSplit, TokenPerformer


@pytest.mark.parametrize(("kernel_size", "strides", "padding"), [(7, 4, 2), (3, 2, 1)])
def test_soft_split_is_a_loop_over_the_padded_image(kernel_size, strides, padding):
    images = np.random.default_rng(0).normal(size=(2, 11, 18, 3)).astype("float32")
    padded = np.pad(images, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    rows = range(0, padded.shape[1] - kernel_size + 1, strides)
    columns = range(0, padded.shape[2] - kernel_size + 1, strides)
    patches = [
        padded[:, row : row + kernel_size, column : column + kernel_size].reshape(2, -1)
        for row in rows
        for column in columns
    ]
    expected = np.stack(patches, axis=1).reshape(2, len(rows), len(columns), -1)
    actual = SoftSplit(kernel_size, strides, padding)(ops.convert_to_tensor(images))
    # Pixels are copied, not computed.
    np.testing.assert_array_equal(ops.convert_to_numpy(actual), expected)


def test_positions_are_a_fixed_sinusoid():
    layer = SinusoidPositionEmbedding()
    layer.build((None, 50, 6))
    assert not layer.trainable_weights
    for position, row in enumerate(layer.table.numpy()[0]):
        for column, value in enumerate(row):
            angle = position / 10000 ** (2 * (column // 2) / 6)
            expected = math.cos(angle) if column % 2 else math.sin(angle)
            assert abs(value - expected) < 1e-7


def test_performer_is_its_formula_also_where_epsilon_decides():
    """Of q and k so long that some sums of features are below 1e-8."""
    layer = TokenPerformer(16, num_features=8)
    layer.build((None, 6, 6, 27))
    k, q, v = np.random.default_rng(0).normal(size=(3, 5, 16))
    k, q = 1.5 * k, 1.5 * q
    w = layer.random_projection.numpy().astype("float64")

    def phi(x):
        return np.exp(x @ w.T - np.square(x).sum(axis=-1, keepdims=True) / 2) / 8**0.5

    kernel = phi(q) @ phi(k).T
    sums = kernel.sum(axis=-1, keepdims=True)
    assert sums.min() < 1e-8 < sums.max()
    kqv = ops.convert_to_tensor(np.concatenate([k, q, v], axis=-1)[None], "float32")
    attended, values = layer.attend(kqv)
    expected = kernel @ v / (sums + 1e-8)
    np.testing.assert_allclose(ops.convert_to_numpy(attended)[0], expected, atol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(values)[0], v, atol=1e-6)


@pytest.mark.nightly_elsewhere
def test_performer_in_half_precision_is_as_good_as_its_inputs():
    """Norms of q and k for which exp overflows or vanishes in float16."""
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 27)).astype("float32")
    exact = TokenPerformer(16, num_features=8)
    exact.build(x.shape)
    exact.kqv.kernel.assign(exact.kqv.kernel.numpy() * 40)
    expected = ops.convert_to_numpy(exact(ops.convert_to_tensor(x)))
    for policy in ("mixed_bfloat16", "mixed_float16"):
        half = TokenPerformer(16, num_features=8, dtype=policy)
        half.build(x.shape)
        half.set_weights(exact.get_weights())
        y = half(ops.convert_to_tensor(x))
        assert keras.backend.standardize_dtype(y.dtype) == policy[6:]
        y = ops.convert_to_numpy(ops.cast(y, "float32"))
        # bfloat16 keeps 8 bits of each value on the way.
        np.testing.assert_allclose(y, expected, atol=0.03 * np.abs(expected).max())


def test_performer_projection_has_orthogonal_rows_of_length_sqrt_m():
    """Also in pure half precision, which has no orthogonal starts on the CPU."""
    layer = TokenPerformer(16, num_features=8, dtype="bfloat16")
    y = layer(ops.ones((1, 3, 3, 27), "bfloat16"))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert layer.random_projection.dtype == "float32"
    w = layer.random_projection.numpy()
    np.testing.assert_allclose(w @ w.T, 8 * np.eye(8), atol=1e-4)
