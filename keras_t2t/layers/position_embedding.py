"""The position of a token in the sequence."""

import keras
import numpy as np
from keras import ops

from keras_t2t.layers.host_initializers import kernel_initializer


def sinusoid_table(positions, dim):
    """Fixed sinusoid of Vaswani et al. (2017), computed in float64, as a float32 array.

    The angle at position p and column j is `p / 10000 ** (2 * (j // 2) / dim)`; its
    sine is on even columns, its cosine on odd ones.
    """
    exponents = 2 * (np.arange(dim) // 2) / dim
    angles = np.arange(positions)[:, None] / 10000.0**exponents
    table = np.where(np.arange(dim) % 2 == 0, np.sin(angles), np.cos(angles))
    return table.astype("float32")


class PositionEmbedding(keras.Layer):
    """Base of the layers that add a table over all positions."""

    def add_table(self, input_shape, initializer, trainable=True):
        _, positions, dim = input_shape
        self.table = self.add_weight(
            name="table",
            shape=(1, positions, dim),
            initializer=initializer,
            trainable=trainable,
        )

    def call(self, x):
        return x + ops.cast(self.table, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def macs(self, input_shape):
        """Multiply-accumulates of one image: none."""
        return 0


@keras.saving.register_keras_serializable(package="keras_t2t")
class SinusoidPositionEmbedding(PositionEmbedding):
    """Adds a fixed sinusoid over all positions, including the class token's.

    The table is a weight that is not trained, so that checkpoints contain it.

    Input and output shape: `(batch, 1 + tokens, dim)`.
    """

    def build(self, input_shape):
        def initializer(shape, dtype):
            return ops.cast(sinusoid_table(*shape[1:])[None], dtype)

        self.add_table(input_shape, initializer, trainable=False)


@keras.saving.register_keras_serializable(package="keras_t2t")
class LearnedPositionEmbedding(PositionEmbedding):
    """Adds a learned table over all positions, as in ViT (Dosovitskiy et al., 2021).

    Input and output shape: `(batch, 1 + tokens, dim)`.
    """

    def build(self, input_shape):
        self.add_table(input_shape, kernel_initializer())
