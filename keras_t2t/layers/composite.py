"""A layer made of layers, some of which `model.quantize` may have changed."""

import keras


class CompositeLayer(keras.Layer):
    """Keeps in its config which of its layers are quantized, so that a model loads as
    it was saved."""

    def get_config(self):
        policy = quantized_policy(self)
        return {
            **super().get_config(),
            "dtype": keras.dtype_policies.serialize(policy),
        }

    def _post_build(self):
        super()._post_build()
        for part in self._flatten_layers(include_self=False):
            # A layer that keeps the map is quantized, and Dense cannot save it then.
            policy = part.dtype_policy
            if part.path and isinstance(policy, keras.dtype_policies.DTypePolicyMap):
                part._dtype_policy = policy[part.path]


def quantized_policy(layer):
    """The dtype policy of a layer and, where some of its layers are quantized, of
    those, by path."""
    quantized = {
        part.path: part.dtype_policy
        for part in layer._flatten_layers(include_self=False)
        if part.quantization_mode is not None
    }
    if not quantized:
        return layer.dtype_policy
    policy = layer.dtype_policy
    if isinstance(policy, keras.dtype_policies.DTypePolicyMap):  # loaded as quantized
        policy = policy.default_policy
    return keras.dtype_policies.DTypePolicyMap(policy.name, quantized)
