"""Dense layers as T2T-ViT initialises them."""

import keras
from keras import ops


def kernel_initializer():
    """Normal with standard deviation 0.02, for Dense kernels and the class token.

    A fresh object for every weight: one Keras initializer with an implicit seed
    gives the same values each time it is called.
    """
    return keras.initializers.RandomNormal(mean=0.0, stddev=0.02)


def dense(units, **kwargs):
    """A Dense layer with this kernel and zero biases; `kwargs` are Dense's own."""
    return keras.layers.Dense(units, kernel_initializer=kernel_initializer(), **kwargs)


def rows(x):
    """`(batch, ..., dim)` -> `(batch * ..., dim)`.

    What comes before a Dense: XLA's gradient of a product with one matrix is faster
    than that with a stack of them.
    """
    return ops.reshape(x, (-1, x.shape[-1]))
