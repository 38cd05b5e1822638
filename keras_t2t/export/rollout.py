"""Attention rollout as an additional output of an exported model."""

import contextlib
import math

from keras import ops

from keras_t2t.layers import MultiHeadSelfAttention
from keras_t2t.layers.attention_probabilities import rollout_of


def outputs_with_rollout(model, image, blocks=(), grid=None):
    """The dict of a serving model's outputs, with `rollout` if there is a grid.

    Args:
        model: serving model.
        image: tensor `(batch, height, width, channels)`.
        blocks, grid: from `attention_blocks`.
    """
    with inputs_of(blocks) as called:
        outputs = model(image, training=False)
    if grid:
        rollout = ops.reshape(rollout_of(called)[:, 1:], (-1, *grid))
        outputs = {**outputs, "rollout": ops.cast(rollout, "float32")}
    return outputs


def attention_blocks(model):
    """The attention layers of the model's blocks and the `[rows, columns]` of its patch
    tokens; [] and None if it has no such layers."""
    layers = list(model._flatten_layers())
    blocks = [layer for layer in layers if isinstance(layer, MultiHeadSelfAttention)]
    if not blocks:
        return [], None
    _, height, width, _ = model.inputs[0].shape
    patches = blocks[0].input.shape[1] - 1
    rows = round(math.sqrt(patches * height / width))
    return blocks, [rows, patches // rows]


@contextlib.contextmanager
def inputs_of(layers):
    """Gives a list to which each call of the layers appends (layer, its input)."""
    called = []

    def recording(layer, call):
        def recorded(x, *arguments, **settings):
            called.append((layer, x))
            return call(x, *arguments, **settings)

        return recorded

    for layer in layers:
        layer.call = recording(layer, layer.call)
    try:
        yield called
    finally:
        for layer in layers:
            del layer.call
