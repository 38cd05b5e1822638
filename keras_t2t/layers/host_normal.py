"""Normally distributed first weights, drawn where the program runs."""

import keras
import numpy as np


@keras.saving.register_keras_serializable("keras_t2t")
class HostNormal(keras.initializers.RandomNormal):
    """`keras.initializers.RandomNormal`, drawn by NumPy on JAX.

    There Keras's own is a program that XLA compiles for every shape anew: two thirds
    of the time that building a T2T-ViT took. Elsewhere the numbers are Keras's.
    """

    def __call__(self, shape, dtype=None):
        if keras.backend.backend() != "jax" or not isinstance(self.seed, int):
            return super().__call__(shape, dtype)
        draws = np.random.default_rng(self.seed).standard_normal(shape, "float32")
        return keras.ops.convert_to_tensor(
            self.mean + self.stddev * draws, dtype=dtype or keras.config.floatx()
        )
