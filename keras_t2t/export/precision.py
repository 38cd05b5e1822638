"""A serving model in another precision, by means of Keras."""

import keras

from keras_t2t.export.serving_model import PREPROCESSING, with_dtype


def in_precision(model, precision):
    """A copy of `model` in `precision`, or the model itself in float32.

    In float16, the weights and most of the arithmetic are float16. The pixels'
    standardisation, the head, and what layers keep in float32 under any policy stay.
    In int8, Dense layers are quantized as Keras does.
    """
    if precision == "float32":
        return model
    if precision == "float16":
        keep = [
            layer.name
            for layer in model._flatten_layers()
            if isinstance(layer, PREPROCESSING)
            or layer.name in ("logits", "probabilities", "head")
        ]
        return with_dtype(model, "float16", keep)
    copied = with_dtype(model, "float32")
    copied.quantize("int8")
    for layer in copied._flatten_layers():
        if not isinstance(layer, keras.Model):
            remember_quantized(layer)
    return copied


def remember_quantized(layer):
    """Notes in a layer of layers which are quantized, so that it is saved with them."""
    inner = layer._flatten_layers(include_self=False)
    quantized = {
        part.path: part.dtype_policy
        for part in inner
        if part.quantization_mode is not None
    }
    if quantized:
        layer.dtype_policy = keras.dtype_policies.DTypePolicyMap(
            layer.dtype_policy.name, quantized
        )
