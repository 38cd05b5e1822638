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
    """Keras's Dense, which on torch adds the bias within the product, saving a pass
    over the memory."""

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
            # Keras makes both factors zero, so neither would ever get a gradient.
            factor = self.lora_kernel_a
            factor.assign(keras.initializers.HeUniform()(factor.shape, factor.dtype))

    def quantize(self, mode=None, type_check=True, config=None):
        super().quantize(mode, type_check=False, config=config)


def dense(units, **kwargs):
    """A `Dense` to use inside a layer, with `kernel_initializer` and zero biases;
    `kwargs` are for Dense."""
    return Dense(units, kernel_initializer=kernel_initializer(), **kwargs)


def graph_dense(units, **kwargs):
    """The same to use in the graph of a model: Keras's own class, for saved models."""
    return keras.layers.Dense(units, kernel_initializer=kernel_initializer(), **kwargs)


def rows(x):
    """`(batch, ..., dim)` -> `(batch * ..., dim)`, except on a TPU.

    Used before a Dense: on a CPU, XLA's gradient of a product is faster for one matrix
    than for a stack of them. On a TPU, where XLA makes the batch the innermost axis, it
    would cost copies, a fifth of the bytes of a training step.
    """
    return x if jax_platform() == "tpu" else ops.reshape(x, (-1, x.shape[-1]))
