"""The kind of device that JAX computes on."""

import keras


def jax_platform():
    """`"cpu"`, `"gpu"` or `"tpu"`; None where another backend is in use."""
    if keras.backend.backend() != "jax":
        return None
    return keras.distribution.list_devices()[0].partition(":")[0]
