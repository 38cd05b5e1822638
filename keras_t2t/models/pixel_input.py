"""Whether a model takes raw pixels, found from the layers directly after its input."""

import keras
import numpy as np

from keras_t2t._ground.arguments import brief

STANDARDISES = (keras.layers.Normalization, keras.layers.Rescaling)
# Their weights are statistics of the input, not learned for the task.
STATISTICS = (keras.layers.Normalization, keras.layers.BatchNormalization)
LEVELS = (0.0, 128.0, 255.0)
# The results of preprocess_input are within -3..3: a layer that shrinks or shifts its
# input by this much or more is for raw pixels.
SHRINKS, SHIFTS = 1 / 10, 10


def takes_pixels(model, answer=None):
    """Whether a functional model of one image, its size known, takes pixels 0..255 and
    standardises them itself, or takes what `keras_t2t.preprocess_input` gives.

    `answer` is the caller's True or False, which is returned, or None: the layers
    decide. If they do not, or it is none of these, a ValueError asks for it.
    """
    if answer is not None:
        if not isinstance(answer, (bool, np.bool_)):
            raise ValueError(
                f"`takes_pixels` must be True, False or None, got {brief(answer)}"
            )
        return bool(answer)
    pixels, reason = seen_input(model)
    if pixels is None:
        raise ValueError(
            f"`takes_pixels` must be True or False for {model.name}, got None, and "
            f"its layer {reason}"
        )
    return pixels


def seen_input(model):
    """`(whether a model takes raw pixels, None)`, or `(None, why that is unknown)`.

    Grey images of three levels are followed from the input up to the first layers that
    learn: through Rescaling, Normalization, Lambda, arithmetic, layers without weights
    and nested models. If they become small numbers, or their mean is removed, the model
    takes raw pixels. Names of layers do not matter.
    """
    (image,) = model.inputs
    if "int" in image.dtype:
        return True, None
    levels = np.reshape(LEVELS, (-1, *[1] * (len(image.shape) - 1)))
    values = np.broadcast_to(levels, (len(LEVELS), *image.shape[1:]))
    return _seen(model, values.astype("float32"))


def _seen(model, values):
    graph = graph_of(model)
    (image,) = graph.inputs
    reached, inner = [image], []  # tensors; nested models with their inputs
    reason = None
    for node in _in_order(graph):
        if any(all(x is not y for y in reached) for x in node.input_tensors):
            continue
        if _learns_nothing(node.operation):
            reached += [x for x in node.outputs if _is_image(x, image)]
        elif len(node.input_tensors) == 1 and graph_of(node.operation):
            inner.append((node.operation, node.input_tensors[0]))
        elif _holds_standardisation(node.operation):
            reason = f"{node.operation.name!r} after the input cannot be looked into"
    outputs = keras.tree.flatten(keras.Model(image, reached)(values, training=False))
    arrays = {
        id(x): keras.ops.convert_to_numpy(keras.ops.cast(y, "float32"))
        for x, y in zip(reached, outputs, strict=True)
    }
    for x in reached:
        verdict = _verdict(arrays[id(x)])
        if verdict == "pixels":
            return True, None
        if verdict == "other":
            reason = (
                f"{x._keras_history.operation.name!r} after the input is for neither "
                "pixels 0..255 nor the result of preprocess_input"
            )
    for nested, x in inner:
        pixels, nested_reason = _seen(nested, arrays[id(x)])
        if pixels:
            return True, None
        reason = reason or nested_reason
    return (False, None) if reason is None else (None, reason)


# === The graph ===
def graph_of(operation):
    """The functional model that a model is or holds, else None."""
    graph = getattr(operation, "_functional", operation)  # of a Sequential model
    # Functional models have no public base class.
    return graph if hasattr(graph, "_nodes_by_depth") else None


def required_graph(model):
    """`graph_of` a model; a ValueError if it has none."""
    if (graph := graph_of(model)) is None:
        raise ValueError(
            "`model` must be a functional or a built Sequential keras.Model, got "
            f"{type(model).__name__}"
        )
    return graph


def _in_order(graph):
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        yield from (node for node in graph._nodes_by_depth[depth] if not node.is_input)


def _learns_nothing(operation):
    if not isinstance(operation, keras.layers.Layer):
        return True
    layers = [x for x in operation._flatten_layers() if isinstance(x, STATISTICS)]
    statistics = {id(weight) for layer in layers for weight in layer.weights}
    return all(id(weight) in statistics for weight in operation.weights)


def _holds_standardisation(operation):
    layers = operation._flatten_layers(include_self=False)
    return any(isinstance(layer, STANDARDISES) for layer in layers)


def _is_image(x, image):
    """Whether a tensor is still the image, one of its channels, transposed or flat."""
    shape, whole = x.shape[1:], image.shape[1:]
    if len(shape) == len(whole) and None not in shape:
        return shape[-1] <= whole[-1] or sorted(shape) == sorted(whole)
    if shape == whole[:-1]:
        return True
    return None not in (*shape, *whole) and np.prod(shape) == np.prod(whole)


# === The values ===
def _verdict(values):
    """Whether the layers so far, which gave these values for the grey levels, are for
    "pixels", or for "other" input than preprocess_input's, or show "nothing"."""
    low, middle, high = np.median(values.reshape(len(LEVELS), -1), axis=1)
    scale = (high - low) / LEVELS[-1]
    if not np.isfinite(scale) or scale == 0:
        return "nothing"
    share = (middle - low) / (high - low)
    if not 0.1 < share < 0.9:  # saturated, as by tanh, or not finite
        return "nothing"
    if abs(scale) <= SHRINKS or abs(low / scale) >= SHIFTS:
        return "pixels"
    affine = abs(share - LEVELS[1] / LEVELS[-1]) < 0.01
    changed = abs(scale - 1) > 0.01 or abs(low) > 0.01
    return "other" if affine and changed else "nothing"
