"""What is computed in another way on some backend or device, and what that gains.

Where the gain is measured, `benchmarks/README.md` has the figures in full.
"""

import contextlib
import functools
import math

import keras
from keras import ops


def jax_platform():
    """The kind of device that JAX computes on: `"cpu"`, `"gpu"` or `"tpu"`; None where
    another backend is in use."""
    if keras.backend.backend() != "jax":
        return None
    return keras.distribution.list_devices()[0].partition(":")[0]


# === Products ===
def rows(x):
    """`(batch, ..., dim)` -> `(batch * ..., dim)`, except on a TPU.

    Used before a Dense: on a CPU, XLA's gradient of a product is faster for one matrix
    than for a stack of them. On a TPU, where XLA makes the batch the innermost axis, it
    would cost copies, a fifth of the bytes of a training step.
    """
    return x if jax_platform() == "tpu" else ops.reshape(x, (-1, x.shape[-1]))


class Dense(keras.layers.Dense):
    """Keras's Dense, which on torch adds the bias within the product: a pass over the
    memory less, a tenth of an inference step."""

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


# === GELU ===
def gelu(x):
    """`x Phi(x)`, Phi the standard normal distribution (Hendrycks and Gimpel, 2016).

    Same shape and dtype as `x`. In float32 equal to `ops.gelu` within 2e-7 `|x|`.
    """
    platform = jax_platform()
    if platform == "tpu":
        return gelu_of_its_input()(x)
    if platform is not None and x.dtype == "float32":
        # JAX's own is written with erfc, which XLA computes more slowly on a CPU.
        return 0.5 * x * (1 + ops.erf(x * math.sqrt(0.5)))
    return ops.gelu(x, approximate=False)


@functools.cache
def gelu_of_its_input():
    """JAX's GELU, which stores only `x` for its gradient, not also `Phi(x)`: on a TPU
    a second error function is cheaper than the memory traffic, of which it saves 7%."""
    import jax

    @jax.custom_vjp
    def function(x):
        return jax.nn.gelu(x, approximate=False)

    def backward(x, gradient):
        x32 = x.astype(at_least_float32(x.dtype))
        cumulative = (1 + jax.lax.erf(x32 * math.sqrt(0.5))) / 2
        density = jax.numpy.exp(-x32 * x32 / 2) / math.sqrt(2 * math.pi)
        return ((gradient * (cumulative + x32 * density)).astype(x.dtype),)

    function.defvjp(lambda x: (function(x), x), backward)
    return function


# === Attention ===
def jax_has_fused_attention(dtype):
    """Whether Keras's attention is a JAX kernel that never stores the scores. On a CPU
    it is not, and takes twice the time of plain products."""
    half = keras.backend.standardize_dtype(dtype) in ("float16", "bfloat16")
    return half and jax_platform() == "gpu"


def torch_attention(q, k, v, scale):
    """torch's own, for tensors `(batch, heads, tokens, head_dim)`; Keras would copy all
    three before calling it."""
    import torch

    return torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=scale)


# === Precision ===
def at_least_float32(dtype):
    """float32 for half precision, where that would do harm; float32 and float64 stay
    unchanged."""
    return keras.backend.result_type(dtype, "float32")


def exact_convolution():
    """Context in which float32 convolutions do not round their input, on JAX.

    Accelerators may round it, to TF32 on NVIDIA GPUs and to bfloat16 on TPUs. Only JAX
    can forbid that for a single operation and its gradients; for the other backends ask
    `convolution_is_exact` first.
    """
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.default_matmul_precision("highest")


def convolution_is_exact(x):
    """Whether convolutions within `exact_convolution` use `x` without rounding it."""
    backend = keras.backend.backend()
    if keras.backend.standardize_dtype(x.dtype) != "float32":
        return True  # nothing is rounded further
    if backend == "torch":
        import torch

        return not (torch.cuda.is_available() and torch.backends.cudnn.allow_tf32)
    if backend == "tensorflow":
        import tensorflow as tf

        tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
        return not (tf32 and tf.config.list_physical_devices("GPU"))
    return True
