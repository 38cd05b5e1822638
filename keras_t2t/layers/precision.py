"""Computations that must not run in reduced precision."""

import contextlib

import keras


def at_least_float32(dtype):
    """float32 for half-precision `dtype`s; float32 and float64 stay as they are."""
    return keras.backend.result_type(dtype, "float32")


def exact_convolution():
    """Context in which a convolution of float32 does not round its input.

    Accelerators may: to TF32 on NVIDIA GPUs, to bfloat16 on TPUs. JAX lets one
    operation choose, gradients included. The others do not, so ask
    `convolution_is_exact` first.
    """
    if keras.backend.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.default_matmul_precision("highest")


def convolution_is_exact(x):
    """Whether convolutions of `x` within `exact_convolution` keep all of its digits."""
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
