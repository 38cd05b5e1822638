import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_t2t.layers.platform import gelu


def test_is_x_times_the_normal_distribution():
    x = np.concatenate([np.linspace(-12, 12, 241), [-1e4, -1e-6, 1e-6, 1e4]])
    x = x.astype("float32")
    expected = [value * math.erfc(-value / math.sqrt(2)) / 2 for value in x.tolist()]
    error = ops.convert_to_numpy(gelu(ops.convert_to_tensor(x))) - expected
    assert np.all(np.abs(error) <= 3e-7 * np.maximum(np.abs(x), 1))  # rounding of erf


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="for JAX")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_tpu_s_gradient(monkeypatch, dtype):
    import jax

    monkeypatch.setattr(keras.distribution, "list_devices", lambda: ["tpu:0"])
    x = np.linspace(-6, 6, 49).astype(dtype)
    gradient = np.asarray(jax.vmap(jax.grad(gelu))(x))
    assert gradient.dtype == dtype
    density = np.exp(-(x.astype("float64") ** 2) / 2) / math.sqrt(2 * math.pi)
    cumulative = [math.erfc(-value / math.sqrt(2)) / 2 for value in x.tolist()]
    expected = cumulative + x.astype("float64") * density
    tolerance = {"float32": 1e-6, "bfloat16": 0.02}[dtype]
    np.testing.assert_allclose(gradient.astype("float64"), expected, 0, tolerance)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_keeps_half_precision(dtype):
    x = ops.cast(ops.linspace(-8.0, 8.0, 33), dtype)
    exact = gelu(ops.cast(x, "float32"))
    error = ops.convert_to_numpy(ops.cast(gelu(x), "float32") - exact)
    step = {"float16": 2**-11, "bfloat16": 2**-8}[dtype]
    assert np.abs(error).max() <= 2 * step * 8
    assert ops.convert_to_numpy(ops.cast(gelu(x)[8], "float32")) < 0  # at x = -4
