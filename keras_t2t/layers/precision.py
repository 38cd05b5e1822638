"""Float32 where reduced precision would do harm."""

import contextlib

import keras


def at_least_float32(dtype):
    """float32 for half precision; float32 and float64 stay unchanged."""
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
