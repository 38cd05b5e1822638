"""A layer made of layers, whose changes it stores in its config.

Keras restores a layer from its config, but `build` creates the layers inside it anew,
without such changes.
"""

import json
import types
from typing import Any

import keras

from keras_t2t.layers.host_initializers import kernel_initializer
from keras_t2t.layers.platform import Dense

# The attributes of a part that may be changed after it is built, as its config names
# them. Keras gives a regularizer to the weights when a layer is made from its config.
CHANGEABLE = (
    "rate",
    "epsilon",
    "activation",
    *(f"{weight}_regularizer" for weight in ("kernel", "bias", "gamma", "beta")),
    *(f"{weight}_constraint" for weight in ("kernel", "bias", "gamma", "beta")),
)


class CompositeLayer(keras.Layer):
    """Stores in its config how its layers were changed (frozen, quantized, with LoRA,
    of another precision, dropout rate or activation ...), so that loading, cloning and
    rebuilding from the config restore them; `parts` is the `inner_state` to restore.
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

    def compute_output_shape(self, input_shape):
        return input_shape

    def _post_build(self):
        for part in self._flatten_layers(include_self=False):
            # With the map instead of its own policy, a quantized Dense cannot be saved.
            policy = part.dtype_policy
            if part.path and isinstance(policy, keras.dtype_policies.DTypePolicyMap):
                part._dtype_policy = policy[part.path]
        self._as_built = attributes_of(self)
        restore_inner_state(self, json.loads(self._parts))
        super()._post_build()

    def _dense(self, name, units, input_shape, **kwargs):
        """A `dense` of this layer's dtype policy, built for `input_shape`."""
        layer = dense(units, dtype=self.dtype_policy, name=name, **kwargs)
        layer.build(input_shape)
        return layer

    def _dropout(self, name, rate):
        return keras.layers.Dropout(rate, dtype=self.dtype_policy, name=name)


def dense(units, **kwargs):
    """A Dense to use inside a layer, with `kernel_initializer` and zero biases."""
    return Dense(units, kernel_initializer=kernel_initializer(), **kwargs)


# === What was changed ===
def parts_of(layer):
    """Yields `(path, part, whole)` for all layers inside a layer, outer ones first.

    The path joins the names, as in `"mlp/expand"`; `whole` directly contains the part.
    """
    for part in layer._layers:
        yield part.name, part, layer
        for path, inner, whole in parts_of(part):
            yield f"{part.name}/{path}", inner, whole


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


def attributes_of(layer):
    """What the changeable attributes of the layers inside a layer are now: a mapping of
    `(path, attribute)` to value, of a type that Keras does not track."""
    return types.MappingProxyType(
        {
            (path, name): getattr(part, name)
            for path, part, _ in parts_of(layer)
            for name in CHANGEABLE
            if hasattr(part, name)
        }
    )


def inner_state(layer, as_built):
    """How the layers inside a built layer differ from those that `build` creates, of
    which `as_built` has the `attributes_of`.

    A JSON-compatible dict of path -> dict, with `trainable` if it differs from the
    containing layer's, `lora_rank` and `lora_alpha` if LoRA is on, and the `attributes`
    that were changed, as in the part's config.
    """
    state = {}
    now = attributes_of(layer)
    changed = {key for key, value in as_built.items() if now.get(key, value) != value}
    for path, part, whole in parts_of(layer):
        of_part = {}
        if part.trainable != whole.trainable:
            of_part["trainable"] = part.trainable
        if getattr(part, "lora_enabled", False):
            of_part |= {"lora_rank": part.lora_rank, "lora_alpha": part.lora_alpha}
        if names := [name for name in CHANGEABLE if (path, name) in changed]:
            config = part.get_config()
            of_part["attributes"] = {name: config[name] for name in names}
        if of_part:
            state[path] = of_part
    return state


# === Restoring it ===
def restore_inner_state(layer, state):
    """Applies an `inner_state` to the layers inside a built layer; raises a ValueError
    if it belongs to another."""
    if not layer.trainable:
        layer.trainable = True  # TensorFlow ignores an assignment without a change
        layer.trainable = False  # now also for the layers that `build` made
    parts = list(parts_of(layer))
    if unknown := sorted(state.keys() - {path for path, *_ in parts}):
        raise ValueError(f"the layer {layer.name!r} has no part {unknown[0]!r}")
    for path, part, _ in parts:
        changed = state.get(path, {})
        if "trainable" in changed:
            part.trainable = changed["trainable"]
        # Afterwards, since LoRA freezes the kernel. A Dense may have it already.
        if "lora_rank" in changed and not getattr(part, "lora_enabled", True):
            part.enable_lora(changed["lora_rank"], changed.get("lora_alpha"))
        restore_attributes(part, changed.get("attributes", {}))


def restore_attributes(part, attributes):
    """Gives a layer attributes that are written as in its config."""
    if unknown := sorted(attributes.keys() - set(CHANGEABLE)):
        raise ValueError(f"the layer {part.name!r} has no attribute {unknown[0]!r}")
    if not attributes:
        return
    twin = type(part).from_config({**part.get_config(), **attributes})
    for name in attributes:
        value = getattr(twin, name)
        setattr(part, name, value)
        weight, _, kind = name.partition("_")
        # With LoRA a Dense's `kernel` is no variable, but a sum with `_kernel` in it.
        variable = getattr(part, f"_{weight}", getattr(part, weight, None))
        if kind and isinstance(variable, keras.Variable):
            setattr(variable, kind, value)
