"""The position of a token in the sequence."""

import keras
import numpy as np
from keras import ops

from keras_t2t.layers.host_initializers import kernel_initializer


def sinusoid_table(positions, dim):
    """Fixed sinusoid of Vaswani et al. (2017), computed in float64.

    Args:
        positions: int, number of positions.
        dim: int, width of a token.

    Returns:
        float32 array `(positions, dim)`: the angle at position p and column j is
        `p / 10000 ** (2 * (j // 2) / dim)`; its sine on even columns, its cosine
        on odd ones.
    """
    exponents = 2 * (np.arange(dim) // 2) / dim
    angles = np.arange(positions)[:, None] / 10000.0**exponents
    table = np.where(np.arange(dim) % 2 == 0, np.sin(angles), np.cos(angles))
    return table.astype("float32")


@keras.saving.register_keras_serializable(package="keras_t2t")
class SinusoidPositionEmbedding(keras.Layer):
    """Adds a fixed sinusoid over all positions, including the class token's.

    The table is a weight that is not trained, so that checkpoints contain it.

    Input and output shape: `(batch, 1 + tokens, dim)`.
    """

    def build(self, input_shape):
        _, positions, dim = input_shape
        self.table = self.add_weight(
            name="table",
            shape=(1, positions, dim),
            initializer=lambda shape, dtype: ops.cast(
                sinusoid_table(positions, dim)[None], dtype
            ),
            trainable=False,
        )

    def call(self, x):
        return x + ops.cast(self.table, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def macs(self, input_shape):
        """Multiply-accumulates of one image: none."""
        return 0


@keras.saving.register_keras_serializable(package="keras_t2t")
class LearnedPositionEmbedding(keras.Layer):
    """Adds a learned table over all positions, as in ViT (Dosovitskiy et al., 2021).

    Input and output shape: `(batch, 1 + tokens, dim)`.
    """

    def build(self, input_shape):
        _, positions, dim = input_shape
        self.table = self.add_weight(
            name="table",
            shape=(1, positions, dim),
            initializer=kernel_initializer(),
        )

    def call(self, x):
        return x + ops.cast(self.table, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def macs(self, input_shape):
        """Multiply-accumulates of one image: none."""
        return 0
