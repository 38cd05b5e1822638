"""Random first weights, drawn where the program runs.

On JAX Keras's own initializers are programs that XLA compiles, for every shape anew:
most of the time that building a T2T-ViT took. These draw with NumPy there; elsewhere
the numbers are Keras's.
"""

import keras
import numpy as np


def drawn_by_numpy(initializer):
    return keras.backend.backend() == "jax" and isinstance(initializer.seed, int)


def as_weight(draws, dtype):
    return keras.ops.convert_to_tensor(draws, dtype=dtype or keras.config.floatx())


@keras.saving.register_keras_serializable("keras_t2t")
class HostNormal(keras.initializers.RandomNormal):
    """`keras.initializers.RandomNormal`, drawn by NumPy on JAX."""

    def __call__(self, shape, dtype=None):
        if not drawn_by_numpy(self):
            return super().__call__(shape, dtype)
        draws = np.random.default_rng(self.seed).standard_normal(shape, "float32")
        draws *= self.stddev
        draws += self.mean
        return as_weight(draws, dtype)


@keras.saving.register_keras_serializable("keras_t2t")
class HostOrthogonal(keras.initializers.Orthogonal):
    """`keras.initializers.Orthogonal` of two axes, drawn by NumPy on JAX."""

    def __call__(self, shape, dtype=None):
        if not drawn_by_numpy(self) or len(shape) != 2:
            return super().__call__(shape, dtype)
        draws = np.random.default_rng(self.seed).standard_normal(sorted(shape)[::-1])
        q, r = np.linalg.qr(draws)
        q *= np.sign(np.diag(r))  # else its distribution would not be uniform
        return as_weight(self.gain * (q if q.shape == tuple(shape) else q.T), dtype)
