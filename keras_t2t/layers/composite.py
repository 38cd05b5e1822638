"""A layer made of layers, whose changes it stores in its config."""

import json
from typing import Any

import keras

from keras_t2t.layers.inner_state import (
    attributes_of,
    inner_state,
    restore_inner_state,
)


class CompositeLayer(keras.Layer):
    """Stores in its config how its layers were changed (frozen, quantized, with LoRA,
    of another precision, dropout rate or activation ...), so that loading, cloning and
    rebuilding from the config restore them.

    Args:
        parts: None, or the `inner_state` to restore.
    """

    def __init__(self, parts: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._parts = json.dumps(parts or {})  # Keras would track and wrap a dict

    def get_config(self):
        policy = inner_policy(self)
        config = {
            **super().get_config(),
            "dtype": keras.dtype_policies.serialize(policy),
        }
        parts = json.loads(self._parts)
        if self.built:
            parts = inner_state(self, self._as_built)
        return {**config, "parts": parts} if parts else config

    def _post_build(self):
        for part in self._flatten_layers(include_self=False):
            # With the map instead of its own policy, a quantized Dense cannot be saved.
            policy = part.dtype_policy
            if part.path and isinstance(policy, keras.dtype_policies.DTypePolicyMap):
                part._dtype_policy = policy[part.path]
        self._as_built = attributes_of(self)
        restore_inner_state(self, json.loads(self._parts))
        super()._post_build()


def inner_policy(layer):
    """The dtype policy of a layer; if layers inside it have another, such as quantized
    ones, a map with theirs by path."""
    policy = layer.dtype_policy
    if isinstance(policy, keras.dtype_policies.DTypePolicyMap):  # it was rebuilt so
        policy = policy[layer.path] if layer.path else policy.default_policy
    others = {
        part.path: part.dtype_policy
        for part in layer._flatten_layers(include_self=False)
        if part.path and part.dtype_policy != policy
    }
    return (
        keras.dtype_policies.DTypePolicyMap(policy.name, others) if others else policy
    )
