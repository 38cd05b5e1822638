"""The sinusoid, number by number."""

import math

from keras_t2t.layers import SinusoidPositionEmbedding


def test_the_table_is_a_fixed_weight_and_equals_the_formula():
    layer = SinusoidPositionEmbedding()
    layer.build((None, 50, 6))
    assert not layer.trainable_weights
    for position, row in enumerate(layer.table.numpy()[0]):
        for column, value in enumerate(row):
            angle = position / 10000 ** (2 * (column // 2) / 6)
            expected = math.cos(angle) if column % 2 else math.sin(angle)
            assert abs(value - expected) < 1e-7
