"""Random initial weights, drawn by NumPy: one seed gives the same on every backend.

On JAX it is also faster: XLA compiles Keras's own initializers for every shape, which
took most of the time to build a T2T-ViT.
"""

import keras
import numpy as np


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
