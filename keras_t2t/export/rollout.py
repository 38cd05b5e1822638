"""Attention rollout as one more output of a model that is exported."""

import contextlib
import math

from keras import ops

from keras_t2t.layers import MultiHeadSelfAttention
from keras_t2t.layers.attention_probabilities import rollout_of


def outputs_of(model, image, blocks=(), grid=None):
    """The dict of a serving model's outputs, and `rollout` where there is a grid.

    Args:
        model: serving model.
        image: tensor `(batch, height, width, channels)`.
        blocks, grid: as `attention_blocks` gives them.
    """
    with inputs_of(blocks) as called:
        outputs = model(image, training=False)
    if grid:
        rollout = rollout_of(called)[:, 1:]
        outputs = {**outputs, "rollout": ops.reshape(rollout, (-1, *grid))}
    return outputs


def attention_blocks(model):
    """The attention layers of the model's blocks, and the `[rows, columns]` of the
    tokens beside the class token; none and None where there are no such layers."""
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
    """The list of (layer, its input) that grows as the layers are called."""
    called = []

    def noting(layer, call):
        def noted(x, *arguments, **settings):
            called.append((layer, x))
            return call(x, *arguments, **settings)

        return noted

    for layer in layers:
        layer.call = noting(layer, layer.call)
    try:
        yield called
    finally:
        for layer in layers:
            del layer.call
