"""The sinusoid, number by number."""

import math

import numpy as np

from keras_t2t.layers import SinusoidPositionEmbedding
from keras_t2t.layers.position_embedding import sinusoid_table


def test_table_equals_the_formula():
    table = sinusoid_table(50, 6)
    for position in range(50):
        for column in range(6):
            angle = position / 10000 ** (2 * (column // 2) / 6)
            expected = math.cos(angle) if column % 2 else math.sin(angle)
            assert abs(table[position, column] - expected) < 1e-7


def test_table_is_a_fixed_weight():
    layer = SinusoidPositionEmbedding()
    layer.build((None, 5, 8))
    assert not layer.trainable_weights
    np.testing.assert_array_equal(layer.table.numpy()[0], sinusoid_table(5, 8))
