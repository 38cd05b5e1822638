"""Changes to the layers inside a layer, to be stored in its config.

Keras restores a layer from its config, but `build` creates the layers inside it anew,
without such changes.
"""

import types

import keras

# The attributes of a part that may be changed after it is built, as its config names
# them. Keras gives a regularizer to the weights when a layer is made from its config.
CHANGEABLE = (
    "rate",
    "epsilon",
    "activation",
    *(f"{weight}_regularizer" for weight in ("kernel", "bias", "gamma", "beta")),
    *(f"{weight}_constraint" for weight in ("kernel", "bias", "gamma", "beta")),
)


def parts_of(layer):
    """Yields `(path, part, whole)` for all layers inside a layer, outer ones first.

    The path joins the names, as in `"mlp/expand"`; `whole` directly contains the part.
    """
    for part in layer._layers:
        yield part.name, part, layer
        for path, inner, whole in parts_of(part):
            yield f"{part.name}/{path}", inner, whole


def attributes_of(layer):
    """What the changeable attributes of the layers inside a layer are now.

    Returns:
        Mapping of `(path, attribute)` to value, of a type that Keras does not track.
    """
    return types.MappingProxyType(
        {
            (path, name): getattr(part, name)
            for path, part, _ in parts_of(layer)
            for name in CHANGEABLE
            if hasattr(part, name)
        }
    )


def inner_state(layer, as_built):
    """How the layers inside a built layer differ from those that `build` creates.

    Args:
        layer: `keras.Layer`.
        as_built: `attributes_of` the layer when it was built.

    Returns:
        JSON-compatible dict of path -> dict, with `trainable` if it differs from the
        containing layer's, `lora_rank` and `lora_alpha` if LoRA is on, and the
        `attributes` that were changed, as in the part's config.
    """
    state = {}
    parts = {path: part for path, part, _ in parts_of(layer)}
    for path, part, whole in parts_of(layer):
        changed = {}
        if part.trainable != whole.trainable:
            changed["trainable"] = part.trainable
        if getattr(part, "lora_enabled", False):
            changed |= {"lora_rank": part.lora_rank, "lora_alpha": part.lora_alpha}
        if changed:
            state[path] = changed
    for (path, name), value in as_built.items():
        part = parts.get(path)
        if part is not None and getattr(part, name) != value:
            attributes = state.setdefault(path, {}).setdefault("attributes", {})
            attributes[name] = part.get_config()[name]
    return state


def restore_inner_state(layer, state):
    """Applies an `inner_state` to the layers inside a built layer.

    Raises:
        ValueError: `state` belongs to another layer.
    """
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
