"""Where a computation must not run in half precision."""

import keras


def at_least_float32(dtype):
    """float32 for half-precision `dtype`s; float32 and float64 stay as they are."""
    return keras.backend.result_type(dtype, "float32")
