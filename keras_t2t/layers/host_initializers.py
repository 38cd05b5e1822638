"""Random initial weights, drawn by NumPy: one seed gives the same on every backend.

On JAX it is also faster: XLA compiles Keras's own initializers for every shape, which
took half of the time to build a T2TViT24.
"""

import keras
import numpy as np


def kernel_initializer():
    """Normal with standard deviation 0.02, for Dense kernels and the class token.

    A fresh object for every weight: one Keras initializer with an implicit seed
    gives the same values each time it is called.
    """
    return HostNormal(mean=0.0, stddev=0.02)


def as_weight(draws, dtype):
    return keras.ops.convert_to_tensor(draws, dtype=dtype or keras.config.floatx())


@keras.saving.register_keras_serializable("keras_t2t")
class HostNormal(keras.initializers.RandomNormal):
    """`keras.initializers.RandomNormal`, drawn by NumPy."""

    def __call__(self, shape, dtype=None):
        if not isinstance(self.seed, int):  # a Keras seed generator
            return super().__call__(shape, dtype)
        draws = np.random.default_rng(self.seed).standard_normal(shape, "float32")
        draws *= self.stddev
        draws += self.mean
        return as_weight(draws, dtype)


@keras.saving.register_keras_serializable("keras_t2t")
class HostOrthogonal(keras.initializers.Orthogonal):
    """`keras.initializers.Orthogonal` of two axes, drawn by NumPy."""

    def __call__(self, shape, dtype=None):
        if not isinstance(self.seed, int) or len(shape) != 2:
            return super().__call__(shape, dtype)
        draws = np.random.default_rng(self.seed).standard_normal(sorted(shape)[::-1])
        q, r = np.linalg.qr(draws)
        q *= np.sign(np.diag(r))  # else its distribution would not be uniform
        return as_weight(self.gain * (q if q.shape == tuple(shape) else q.T), dtype)
