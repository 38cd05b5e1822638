"""What was changed of the layers in a layer, as its config carries it.

Keras keeps the state of a layer in its config, but makes the layers inside it anew: in
`build`, where nothing tells them what they were.
"""


def parts_of(layer):
    """Yields `(path, part, whole)` of all layers in a layer, from outside inwards.

    The path is the names on the way, `"mlp/expand"`; `whole` is what holds the part.
    """
    for part in layer._layers:
        yield part.name, part, layer
        for path, inner, whole in parts_of(part):
            yield f"{part.name}/{path}", inner, whole


def inner_state(layer):
    """What of the layers in a built layer is not as `build` makes it.

    Returns:
        dict that JSON can hold, path -> `trainable`, where it is not that of the layer
        around it, and `lora_rank` and `lora_alpha`, where LoRA is on.
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
    """Gives the layers in a built layer what `inner_state` found.

    Raises:
        ValueError: `state` is of another layer.
    """
    if not layer.trainable:
        layer.trainable = True  # TensorFlow passes over what would not change
        layer.trainable = False  # also of what was made since
    parts = list(parts_of(layer))
    if unknown := sorted(state.keys() - {path for path, *_ in parts}):
        raise ValueError(f"the layer {layer.name!r} has no part {unknown[0]!r}")
    for path, part, _ in parts:
        changed = state.get(path, {})
        if "trainable" in changed:
            part.trainable = changed["trainable"]
        # After it, since it freezes what it adds to. A Dense may have it by itself.
        if "lora_rank" in changed and not getattr(part, "lora_enabled", True):
            part.enable_lora(changed["lora_rank"], changed.get("lora_alpha"))
