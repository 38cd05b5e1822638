"""The attention probabilities of a layer, and attention rollout."""

from keras import ops

from keras_t2t.layers.platform import at_least_float32
from keras_t2t.layers.token_performer import EPSILON, SCALE, TokenPerformer
from keras_t2t.layers.token_transformer import TokenTransformer


def probabilities_of(layer, x, queries=slice(None)):
    """The attention probabilities, from the layer's own norm, Dense and scale; for a
    Performer those that its random features imply.

    Args:
        layer: a `MultiHeadSelfAttention` (of any block design), `TokenPerformer` or
            `TokenTransformer`.
        x: the layer's input, a tensor with a batch axis.
        queries: slice of the query tokens.

    Returns:
        Tensor `(batch, heads, queries, keys)` in float32 or better.
    """
    if isinstance(layer, TokenPerformer):
        return _performer(layer, x, queries)
    if isinstance(layer, TokenTransformer):
        q, k, _ = ops.split(layer.qkv_of(x), 3, axis=-1)
        return _softmax(q[:, None, queries], k[:, None], layer.scale)
    q, k, _ = (ops.transpose(part, (0, 2, 1, 3)) for part in layer.qkv_of(x))
    return _softmax(q[:, :, queries], k, layer.head_dim**-0.5)


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
        attention = ops.mean(probabilities_of(layer, x), axis=1)
        if row is None:
            first = ops.one_hot(ops.zeros_like(x[:, 0, 0], "int32"), x.shape[1])
            row = (attention[:, 0] + ops.cast(first, attention.dtype)) / 2
        else:
            row = (ops.matmul(row[:, None], attention)[:, 0] + row) / 2
    return row


def _softmax(q, k, scale):
    logits = ops.matmul(q * scale, ops.transpose(k, (0, 1, 3, 2)))
    return ops.softmax(ops.cast(logits, at_least_float32(logits.dtype)), axis=-1)


def _performer(layer, x, queries):
    k, q, _ = ops.split(layer.qkv_of(x), 3, axis=-1)
    island = at_least_float32(layer.compute_dtype)
    phi_k = layer.random_features(ops.cast(k, island))
    phi_q = layer.random_features(ops.cast(q, island))[:, queries]
    weights = ops.matmul(phi_q, ops.transpose(phi_k, (0, 2, 1)))
    normaliser = ops.sum(weights, axis=-1, keepdims=True) + EPSILON * SCALE**2
    return (weights / normaliser)[:, None]
