"""A layer made of layers, whose changes it stores in its config."""

import json
from typing import Any

import keras

from keras_t2t.layers.inner_state import inner_state, restore_inner_state


class CompositeLayer(keras.Layer):
    """Stores in its config which of its layers are quantized, frozen or have LoRA, so
    that loading, cloning and rebuilding from the config restore them.

    Args:
        parts: None, or the `inner_state` to restore.
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
            # With the map instead of its own policy, a quantized Dense cannot be saved.
            policy = part.dtype_policy
            if part.path and isinstance(policy, keras.dtype_policies.DTypePolicyMap):
                part._dtype_policy = policy[part.path]
        restore_inner_state(self, json.loads(self._parts))
        super()._post_build()


def quantized_policy(layer):
    """The dtype policy of a layer; if layers inside it are quantized, a map with theirs
    by path."""
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
