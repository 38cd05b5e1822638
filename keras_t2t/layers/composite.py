"""A layer made of layers, whose state it keeps in its config."""

import json
from typing import Any

import keras

from keras_t2t.layers.inner_state import inner_state, restore_inner_state


class CompositeLayer(keras.Layer):
    """Keeps in its config which of its layers are quantized, frozen or have LoRA, so
    that a model is rebuilt as it was, whichever way Keras does it.

    Args:
        parts: None, or what `inner_state` found of the layer that this is a copy of.
    """

    def __init__(self, parts: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._parts = json.dumps(parts or {})  # Keras would track and wrap a dict

    def get_config(self):
        policy = quantized_policy(self)
        config = {
            **super().get_config(),
            "dtype": keras.dtype_policies.serialize(policy),
        }
        parts = inner_state(self) if self.built else json.loads(self._parts)
        return {**config, "parts": parts} if parts else config

    def _post_build(self):
        for part in self._flatten_layers(include_self=False):
            # A layer that keeps the map is quantized, and Dense cannot save it then.
            policy = part.dtype_policy
            if part.path and isinstance(policy, keras.dtype_policies.DTypePolicyMap):
                part._dtype_policy = policy[part.path]
        restore_inner_state(self, json.loads(self._parts))
        super()._post_build()


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
