"""From a grid of tokens to the sequence that the blocks read."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="keras_t2t")
class FlattenGrid(keras.layers.Layer):
    """Flattens a grid of tokens, row by row.

    Input shape: `(batch, rows, columns, dim)`.
    Output shape: `(batch, rows * columns, dim)`.
    """

    def build(self, input_shape):
        self.grid = tuple(input_shape[1:3])

    def call(self, x):
        return ops.reshape(x, (-1, self.grid[0] * self.grid[1], x.shape[-1]))

    def compute_output_shape(self, input_shape):
        batch, rows, columns, dim = input_shape
        return (batch, rows * columns, dim)

    def save_own_variables(self, store):
        """Stores the grid: the shape of a position table does not show it."""
        store["grid"] = np.array(self.grid)

    def load_own_variables(self, store):
        """Raises a ValueError if the file has another grid."""
        if "grid" in store.keys():  # noqa: SIM118  a store of Keras, not a dict
            grid = tuple(np.ravel(store["grid"]).tolist())
            if grid != self.grid:
                raise ValueError(
                    f"the file's tokens are a grid of {grid}, but the model's of "
                    f"{self.grid}; keras_t2t.load_checkpoint resizes positions"
                )

    def macs(self, input_shape):
        """Multiply-accumulates of one image: none."""
        return 0
