"""The Performer's float32 island and what is fixed in it."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_t2t.layers import TokenPerformer


@pytest.mark.nightly_elsewhere
def test_half_precision_is_as_good_as_its_inputs():
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


def test_random_projection_has_orthogonal_rows_of_length_sqrt_m():
    """Also in pure half precision, which has no orthogonal starts on the CPU."""
    layer = TokenPerformer(16, num_features=8, dtype="bfloat16")
    y = layer(ops.ones((1, 3, 3, 27), "bfloat16"))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert layer.random_projection.dtype == "float32"
    w = layer.random_projection.numpy()
    np.testing.assert_allclose(w @ w.T, 8 * np.eye(8), atol=1e-4)
