"""Dense layers as T2T-ViT initialises them."""

import keras
from keras import ops

from keras_t2t.layers.host_initializers import HostNormal
from keras_t2t.layers.platform import jax_platform


def kernel_initializer():
    """Normal with standard deviation 0.02, for Dense kernels and the class token.

    A fresh object for every weight: one Keras initializer with an implicit seed
    gives the same values each time it is called.
    """
    return HostNormal(mean=0.0, stddev=0.02)


class Dense(keras.layers.Dense):
    """Keras's Dense, which on torch adds the bias as the product is written: on its
    own it is another pass over the memory."""

    def call(self, inputs, training=None):
        if keras.backend.backend() != "torch" or self.bias is None:
            return super().call(inputs, training=training)
        import torch

        kernel, bias = map(ops.convert_to_tensor, (self.kernel, self.bias))
        x = torch.nn.functional.linear(inputs, torch.t(kernel), bias)
        return x if self.activation is None else self.activation(x)

    def load_own_variables(self, store):
        super().load_own_variables(store)
        if self.lora_enabled:
            # Keras makes both factors zero, and no gradient would ever reach them.
            factor = self.lora_kernel_a
            factor.assign(keras.initializers.HeUniform()(factor.shape, factor.dtype))

    def quantize(self, mode=None, type_check=True, config=None):
        super().quantize(mode, type_check=False, config=config)


def dense(units, **kwargs):
    """A `Dense` for the inside of a layer, with this kernel and zero biases; `kwargs`
    are Dense's own."""
    return Dense(units, kernel_initializer=kernel_initializer(), **kwargs)


def graph_dense(units, **kwargs):
    """The same for the graph of a model: Keras's own class, as saved models name it."""
    return keras.layers.Dense(units, kernel_initializer=kernel_initializer(), **kwargs)


def rows(x):
    """`(batch, ..., dim)` -> `(batch * ..., dim)`, but on a TPU as it is.

    What comes before a Dense: on a CPU XLA's gradient of a product with one matrix is
    faster than that with a stack of them. On a TPU it costs copies, since XLA lays the
    batch out innermost: a fifth of the bytes of a training step.
    """
    return x if jax_platform() == "tpu" else ops.reshape(x, (-1, x.shape[-1]))
