"""Attention rollout as an additional output of an exported model."""

import contextlib

from keras import ops

from keras_t2t.layers import FlattenGrid, MultiHeadSelfAttention


def outputs_with_rollout(model, image, blocks=(), grid=None):
    """The dict of a serving model's outputs, with `rollout` if there is a grid.

    Args:
        image: tensor `(batch, height, width, channels)`.
        blocks, grid: from `attention_blocks`.
    """
    with inputs_of(blocks) as called:
        outputs = model(image, training=False)
    if grid:
        rollout = ops.reshape(rollout_of(called)[:, 1:], (-1, *grid))
        outputs = {**outputs, "rollout": ops.cast(rollout, "float32")}
    return outputs


def rollout_of(called):
    """How much of each token reaches the class token through all layers.

    Attention rollout (Abnar and Zuidema, 2020, section 3): the product of the layers'
    (A + I) / 2, of which only the first row is computed, from the last layer down.

    Args:
        called: list of (`MultiHeadSelfAttention`, its input `(batch, tokens,
            channels)`), in the order in which they are called.

    Returns:
        Tensor `(batch, tokens)` in float32 or better; rows sum to 1.
    """
    row = None
    for layer, x in reversed(called):
        attention = ops.mean(layer.probabilities(x), axis=1)
        if row is None:
            first = ops.one_hot(ops.zeros_like(x[:, 0, 0], "int32"), x.shape[1])
            row = (attention[:, 0] + ops.cast(first, attention.dtype)) / 2
        else:
            row = (ops.matmul(row[:, None], attention)[:, 0] + row) / 2
    return row


def attention_blocks(model):
    """The attention layers of the model's blocks and the `[rows, columns]` of its patch
    tokens; [] and None if it has no such layers."""
    layers = list(model._flatten_layers())
    blocks = [layer for layer in layers if isinstance(layer, MultiHeadSelfAttention)]
    grids = [layer.grid for layer in layers if isinstance(layer, FlattenGrid)]
    return (blocks, list(grids[0])) if blocks and grids else ([], None)


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
