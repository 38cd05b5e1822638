"""A serving model in another precision, by means of Keras."""

import keras

from keras_t2t.export.serving_model import with_dtype
from keras_t2t.layers.composite import quantized_policy
from keras_t2t.pixel_input import STANDARDISES

OUTPUTS = ("logits", "probabilities", "head", "aux_head")


def in_precision(model, precision):
    """A copy of `model` in `precision`, or the model itself in float32.

    In float16, the weights and most of the arithmetic are float16. The pixels'
    standardisation, the head, and what layers keep in float32 under any policy stay.
    In int8 and int4, Dense layers are quantized as Keras does.
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
            # Of layers of layers that do not keep it themselves.
            layer.dtype_policy = quantized_policy(layer)
    return copied
