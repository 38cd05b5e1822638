"""Whether a model takes pixels: what stands directly behind its input tells."""

import keras
import numpy as np

from keras_t2t._ground.arguments import brief

STANDARDISES = (keras.layers.Normalization, keras.layers.Rescaling)
# Their weights are of what is seen, not of what is to be told.
KNOWN_WEIGHTS = (keras.layers.Normalization, keras.layers.BatchNormalization)
LEVELS = (0.0, 128.0, 255.0)
# What preprocess_input gives lies within -3..3: to shrink or to move it by so much is
# for pixels.
SHRINKS, MOVES = 1 / 10, 10


def takes_pixels(model, told=None):
    """Whether a model of images takes pixels 0..255 and standardises them itself.

    Args:
        model: functional `keras.Model` of one image, its size known.
        told: True or False, which is then the answer; None: what stands behind the
            input tells.

    Returns:
        bool. False: the model takes what `keras_t2t.preprocess_input` gives.

    Raises:
        ValueError: if `told` is none of these; or None, and nothing tells.
    """
    if told is not None:
        if not isinstance(told, (bool, np.bool_)):
            raise ValueError(
                f"`takes_pixels` must be True, False or None, got {brief(told)}"
            )
        return bool(told)
    seen, reason = seen_input(model)
    if seen is None:
        raise ValueError(
            f"`takes_pixels` must be True or False for {model.name}, got None, and "
            f"its layer {reason}"
        )
    return seen


def seen_input(model):
    """What stands behind a model's input tells of it.

    Grey images of three levels are followed from the input through all that learns
    nothing: Rescaling, Normalization, Lambda, arithmetic, layers without weights,
    models within the model. What is for pixels makes small numbers of them, or takes
    their mean away. Names tell nothing, nor does what comes after the first layer that
    learns.

    Returns:
        `(whether it takes pixels, None)`, or `(None, why that cannot be told)`.
    """
    (image,) = model.inputs
    if "int" in image.dtype:
        return True, None
    levels = np.reshape(LEVELS, (-1, *[1] * (len(image.shape) - 1)))
    values = np.broadcast_to(levels, (len(LEVELS), *image.shape[1:]))
    return _seen(model, values.astype("float32"))


def _seen(model, values):
    graph = _graph_of(model)
    (image,) = graph.inputs
    reached, inner = [image], []  # tensors; models within, with their inputs
    reason = None
    for node in _in_order(graph):
        if any(all(x is not y for y in reached) for x in node.input_tensors):
            continue
        if _learns_nothing(node.operation):
            reached += [x for x in node.outputs if _is_image(x, image)]
        elif len(node.input_tensors) == 1 and _graph_of(node.operation):
            inner.append((node.operation, node.input_tensors[0]))
        elif _holds_standardisation(node.operation):
            reason = f"{node.operation.name!r} behind the input cannot be looked into"
    found = keras.tree.flatten(keras.Model(image, reached)(values, training=False))
    found = dict(zip(map(id, reached), map(_to_array, found), strict=True))
    for x in reached:
        verdict = _verdict(found[id(x)])
        if verdict == "pixels":
            return True, None
        if verdict == "other":
            reason = (
                f"{x._keras_history.operation.name!r} behind the input is for neither "
                "pixels 0..255 nor what preprocess_input gives"
            )
    for nested, x in inner:
        takes, why = _seen(nested, found[id(x)])
        if takes:
            return True, None
        reason = reason or why
    return (False, None) if reason is None else (None, reason)


# === The graph ===
def _graph_of(operation):
    """The functional model that a model is or holds, else None."""
    graph = getattr(operation, "_functional", operation)  # of a Sequential model
    return graph if hasattr(graph, "_nodes_by_depth") else None


def _in_order(graph):
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from (node for node in graph._nodes_by_depth[depth] if not node.is_input)


def _learns_nothing(operation):
    if not isinstance(operation, keras.layers.Layer):
        return True
    known = [x for x in operation._flatten_layers() if isinstance(x, KNOWN_WEIGHTS)]
    weights = {id(weight) for layer in known for weight in layer.weights}
    return all(id(weight) in weights for weight in operation.weights)


def _holds_standardisation(operation):
    layers = operation._flatten_layers(include_self=False)
    return any(isinstance(layer, STANDARDISES) for layer in layers)


def _is_image(x, image):
    """Whether a tensor is still an image, one channel of it, or all of its numbers."""
    shape, whole = x.shape[1:], image.shape[1:]
    if len(shape) == len(whole):
        return shape[-1] is not None and shape[-1] <= whole[-1]
    if shape == whole[:-1]:
        return True
    return None not in (*shape, *whole) and np.prod(shape) == np.prod(whole)


# === The values ===
def _to_array(tensor):
    return keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32"))


def _verdict(values):
    """What grey levels became: "pixels", "nothing" or "other"."""
    low, middle, high = np.median(values.reshape(len(LEVELS), -1), axis=1)
    scale = (high - low) / LEVELS[-1]
    if not np.isfinite(scale) or scale == 0:
        return "nothing"
    share = (middle - low) / (high - low)
    if not 0.1 < share < 0.9:  # saturated, as by tanh, or not finite
        return "nothing"
    if abs(scale) <= SHRINKS or abs(low / scale) >= MOVES:
        return "pixels"
    affine = abs(share - LEVELS[1] / LEVELS[-1]) < 0.01
    changed = abs(scale - 1) > 0.01 or abs(low) > 0.01
    return "other" if affine and changed else "nothing"
