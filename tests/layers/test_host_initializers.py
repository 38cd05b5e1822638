"""First weights, as drawn by NumPy. That each weight has a seed of its own, one number
in tests/models/test_t2t_vit.py tells."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_t2t.layers.host_initializers import HostNormal, HostOrthogonal

pytestmark = pytest.mark.usefixtures("keras_initializers")


def test_a_seed_is_the_same_weights_on_every_backend():
    """NumPy's normal distribution."""
    draws = ops.convert_to_numpy(HostNormal(mean=1.0, stddev=0.5, seed=3)((2, 3)))
    expected = 1 + 0.5 * np.random.default_rng(3).standard_normal((2, 3), "float32")
    assert draws.dtype == "float32"
    np.testing.assert_allclose(draws, expected, rtol=1e-6)


@pytest.mark.parametrize("kind", [HostNormal, HostOrthogonal])
def test_a_generator_of_keras_s_draws_keras_s_numbers(kind):
    values = []
    for each in (kind, kind.__base__):
        made = each(seed=keras.random.SeedGenerator(3))
        values.append(ops.convert_to_numpy(keras.initializers.get(made)((4, 4))))
    np.testing.assert_array_equal(*values)


@pytest.mark.parametrize("shape", [(32, 64), (64, 32), (8, 8)])
def test_rows_or_columns_are_orthogonal(shape):
    draws = ops.convert_to_numpy(HostOrthogonal(gain=3.0, seed=1)(shape))
    assert draws.shape == shape and draws.dtype == "float32"
    product = draws @ draws.T if shape[0] <= shape[1] else draws.T @ draws
    np.testing.assert_allclose(product, 9 * np.eye(min(shape)), atol=1e-4)


def test_orthogonal_matrices_point_everywhere():
    """Without the sign of r the first row would lean to one side."""
    firsts = [
        ops.convert_to_numpy(HostOrthogonal(seed=seed)((2, 2)))[0, 0]
        for seed in range(200)
    ]
    assert abs(np.mean(firsts)) < 0.2
