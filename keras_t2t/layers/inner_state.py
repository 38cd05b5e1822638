"""Changes to the layers inside a layer, to be stored in its config.

Keras restores a layer from its config, but `build` creates the layers inside it anew,
without such changes.
"""


def parts_of(layer):
    """Yields `(path, part, whole)` for all layers inside a layer, outer ones first.

    The path joins the names, as in `"mlp/expand"`; `whole` directly contains the part.
    """
    for part in layer._layers:
        yield part.name, part, layer
        for path, inner, whole in parts_of(part):
            yield f"{part.name}/{path}", inner, whole


def inner_state(layer):
    """How the layers inside a built layer differ from those that `build` creates.

    Returns:
        JSON-compatible dict of path -> dict, with `trainable` if it differs from the
        containing layer's, and `lora_rank` and `lora_alpha` if LoRA is on.
    """
    state = {}
    for path, part, whole in parts_of(layer):
        changed = {}
        if part.trainable != whole.trainable:
            changed["trainable"] = part.trainable
        if getattr(part, "lora_enabled", False):
            changed |= {"lora_rank": part.lora_rank, "lora_alpha": part.lora_alpha}
        if changed:
            state[path] = changed
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
