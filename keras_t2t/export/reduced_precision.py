"""Converts a serving model to another precision, with Keras's own means."""

import keras

from keras_t2t.export.serving_model import with_dtype
from keras_t2t.layers.composite import inner_policy
from keras_t2t.pixel_input import STANDARDISES

OUTPUTS = ("logits", "probabilities", "head", "aux_head")


def in_precision(model, precision):
    """A copy of `model` in `precision`, or the model itself in float32.

    In float16, the weights and most of the arithmetic are float16. Standardisation,
    the head, and whatever layers compute in float32 under any policy stay float32.
    In int8 and int4, Keras quantizes the Dense layers.
    """
    if precision == "float32":
        return model
    if precision == "float16":
        keep = [
            layer.name
            for layer in model._flatten_layers()
            if isinstance(layer, STANDARDISES) or layer.name in OUTPUTS
        ]
        return with_dtype(model, "float16", keep)
    copied = with_dtype(model, "float32")
    copied.quantize(precision)
    for layer in copied._flatten_layers():
        if not isinstance(layer, keras.Model):
            # Also for composite layers that do not store the policies themselves.
            layer.dtype_policy = inner_policy(layer)
    return copied
