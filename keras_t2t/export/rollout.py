"""Attention rollout as an additional output of an exported model."""

import contextlib
import functools

from keras import ops

from keras_t2t.layers import FlattenGrid, MultiHeadSelfAttention


def rollout_of(called, grid):
    """How much of each patch reaches the class token through all layers.

    Attention rollout (Abnar and Zuidema, 2020, section 3): the product of the layers'
    (A + I) / 2, of which only the first row is computed, from the last layer down.
    `called` are the layers with their inputs, see `inputs_of`.

    Returns:
        float32 tensor `(batch, rows, columns)`.
    """
    row = None
    for layer, x in reversed(called):
        attention = ops.mean(layer.probabilities(x), axis=1)
        if row is None:
            first = ops.one_hot(ops.zeros_like(x[:, 0, 0], "int32"), x.shape[1])
            row = (attention[:, 0] + ops.cast(first, attention.dtype)) / 2
        else:
            row = (ops.matmul(row[:, None], attention)[:, 0] + row) / 2
    return ops.cast(ops.reshape(row[:, 1:], (-1, *grid)), "float32")


def attention_blocks(model):
    """The attention layers of the model's blocks and the `[rows, columns]` of its patch
    tokens; [] and None if it has no such layers."""
    layers = list(model._flatten_layers())
    blocks = [layer for layer in layers if isinstance(layer, MultiHeadSelfAttention)]
    grids = [layer.grid for layer in layers if isinstance(layer, FlattenGrid)]
    return (blocks, list(grids[0])) if blocks and grids else ([], None)


@contextlib.contextmanager
def inputs_of(layers):
    """Gives a list to which each call of the layers appends `(layer, its input)`."""
    called = []

    def recorded(layer, call, x, *arguments, **settings):
        called.append((layer, x))
        return call(x, *arguments, **settings)

    for layer in layers:
        layer.call = functools.partial(recorded, layer, layer.call)
    try:
        yield called
    finally:
        for layer in layers:
            del layer.call
