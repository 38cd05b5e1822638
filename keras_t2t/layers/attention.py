"""Multi-head self-attention of the backbone (paper section 3.2)."""

import math
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_t2t._ground.arguments import check_flags, check_rates, integer
from keras_t2t.layers.composite import CompositeLayer
from keras_t2t.layers.platform import (
    at_least_float32,
    jax_has_fused_attention,
    rows,
    torch_attention,
)

# The most scores of one image and head in memory at once: 64 MB in float32.
MAX_SCORES = 2**24


def scaled_dot_product_attention(q, k, v, scale, dropout=None, training=False):
    """softmax(scale * q k^T) v, the softmax in float32 or better.

    Memory grows linearly with the number of tokens if the backend has such a kernel,
    and otherwise from `MAX_SCORES` scores on: queries are then taken in chunks, whose
    scores are recomputed for the gradient.

    Args:
        q, k, v: tensors `(batch, tokens, heads, head_dim)`, as the result.
        dropout: None, or a function applied to the attention probabilities
            `(batch, heads, query tokens, key tokens)`.
        training: bool, whether a gradient will be computed.
    """
    # cuDNN's, as JAX calls it, has no gradient for an odd number of tokens.
    odd = training and q.shape[1] % 2
    if dropout is None and not odd and jax_has_fused_attention(q.dtype):
        return ops.dot_product_attention(q, k, v, scale=scale)
    # Keras's fused attention has no dropout, and without a kernel of the backend plain
    # products are faster.
    q, k, v = (ops.transpose(part, (0, 2, 1, 3)) for part in (q, k, v))
    queries = q.shape[2]
    chunk = max(1, MAX_SCORES // k.shape[2])
    if dropout is None and keras.backend.backend() == "torch":
        attended = torch_attention(q, k, v, scale)
    elif dropout is not None or queries <= chunk:
        attended = attend(q * scale, k, v, dropout)
    else:
        attended = attend_in_chunks(q * scale, k, v, chunk)
    return ops.transpose(attended, (0, 2, 1, 3))


def attend(q, k, v, dropout=None):
    """softmax(q k^T) v for tensors `(batch, heads, tokens, head_dim)`."""
    island = at_least_float32(v.dtype)
    logits = ops.cast(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))), island)
    largest = ops.stop_gradient(ops.max(logits, axis=-1, keepdims=True))
    weights = ops.exp(logits - largest)
    total = ops.sum(weights, axis=-1, keepdims=True)
    if dropout is None and island == keras.backend.standardize_dtype(v.dtype):
        # Divides the few values of the result instead of all weights.
        return ops.matmul(weights, v) / total
    probabilities = ops.cast(weights / total, v.dtype)
    if dropout is not None:
        probabilities = dropout(probabilities)
    return ops.matmul(probabilities, v)


def attend_in_chunks(q, k, v, chunk):
    """`attend` for `chunk` queries at a time, also in the gradient.

    A loop, not a list of chunks, of which XLA would compute several at once.
    """
    _, heads, queries, dim = q.shape
    chunks = math.ceil(queries / chunk)
    size = math.ceil(queries / chunks)
    q = ops.pad(q, [(0, 0), (0, 0), (0, chunks * size - queries), (0, 0)])
    q = ops.moveaxis(ops.reshape(q, (-1, heads, chunks, size, dim)), 2, 0)
    # k and v as arguments: TensorFlow's remat gives captured tensors no gradient.
    attend_again = keras.remat(attend)
    attended = ops.map(lambda part: attend_again(part, k, v), q)
    attended = ops.moveaxis(attended, 0, 2)
    attended = ops.reshape(attended, (-1, heads, chunks * size, dim))
    return attended[:, :, :queries]


def probabilities_of(q, k, scale):
    """softmax(scale * q k^T) for tensors `(batch, heads, tokens, head_dim)`, in float32
    or better."""
    logits = ops.matmul(q * scale, ops.transpose(k, (0, 1, 3, 2)))
    return ops.softmax(ops.cast(logits, at_least_float32(logits.dtype)), axis=-1)


@keras.saving.register_keras_serializable(package="keras_t2t")
class MultiHeadSelfAttention(CompositeLayer):
    """Self-attention with one fused Dense for q, k, v and a projection.

    Args:
        num_heads: int, must divide the input width.
        qkv_bias: bool, whether q, k, v have a bias.
        attention_dropout: float in [0, 1), dropout on the attention
            probabilities.
        dropout: float in [0, 1), dropout after the projection.
        remat: bool, whether all but the input is recomputed for the gradient. Has no
            effect with `attention_dropout`.

    Input and output shape: `(batch, tokens, dim)`.

    Raises:
        ValueError: if `num_heads` is not a positive integer or does not divide
            the input width.
    """

    # === Config ===
    def __init__(
        self,
        num_heads: int,
        qkv_bias: bool = False,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
        remat: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_flags(qkv_bias=qkv_bias, remat=remat)
        check_rates(attention_dropout=attention_dropout, dropout=dropout)
        self.num_heads = integer("num_heads", num_heads)
        self.qkv_bias = qkv_bias
        self.attention_dropout_rate = attention_dropout
        self.dropout_rate = dropout
        self.remat = remat
        self.attention_dropout = self._dropout("attention_dropout", attention_dropout)
        self.dropout = self._dropout("dropout", dropout)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "qkv_bias": self.qkv_bias,
            "attention_dropout": self.attention_dropout_rate,
            "dropout": self.dropout_rate,
            "remat": self.remat,
        }

    # === Weights ===
    def build(self, input_shape):
        dim = input_shape[-1]
        if dim % self.num_heads:
            raise ValueError(
                f"`num_heads` must divide the width of the tokens, got "
                f"num_heads={self.num_heads} for width {dim}"
            )
        self.head_dim = dim // self.num_heads
        self.build_qkv(input_shape)
        self.projection = self._dense("projection", dim, input_shape)

    def build_qkv(self, input_shape):
        """Builds the weights of `qkv_of` for `(batch, tokens, dim)` input."""
        width = 3 * input_shape[-1]
        self.qkv = self._dense("qkv", width, input_shape, use_bias=self.qkv_bias)

    def save_own_variables(self, store):
        """Also stores the number of heads, which no weight's shape shows."""
        super().save_own_variables(store)
        store["num_heads"] = np.array(self.num_heads)

    def load_own_variables(self, store):
        """Raises a ValueError if the file has another number of heads."""
        if "num_heads" in store.keys():  # noqa: SIM118  a store of Keras, not a dict
            heads = int(store["num_heads"])
            if heads != self.num_heads:
                raise ValueError(
                    f"the file's {self.name!r} has {heads} heads, but the model's has "
                    f"{self.num_heads}"
                )

    # === Computation ===
    def qkv_of(self, x):
        """Tokens `(batch, tokens, dim)` -> q, k and v, each
        `(batch, tokens, heads, head_dim)`."""
        shape = (-1, x.shape[1], 3, self.num_heads, self.head_dim)
        return ops.unstack(ops.reshape(self.qkv(rows(x)), shape), 3, axis=2)

    def call(self, x, training=False):
        if training and self.attention_dropout.rate > 0:
            dropout = partial(self.attention_dropout, training=True)
            x = self.attended(x, training, dropout)
        elif training and self.remat:
            x = keras.remat(partial(self.attended, training=True))(x)
        else:
            x = self.attended(x, training)
        return self.dropout(x, training=training)

    def attended(self, x, training=False, dropout=None):
        """All but the last dropout; `dropout` acts on the probabilities."""
        _, tokens, dim = x.shape
        q, k, v = self.qkv_of(x)
        scale = self.head_dim**-0.5
        x = scaled_dot_product_attention(q, k, v, scale, dropout, training)
        x = self.projection(rows(ops.reshape(x, (-1, tokens, dim))))
        return ops.reshape(x, (-1, tokens, dim))

    def probabilities(self, x, queries=slice(None)):
        """By how much the tokens `queries` (a slice) of the input attend to all tokens:
        `(batch, heads, queries, keys)` in float32 or better."""
        q, k, _ = (ops.transpose(part, (0, 2, 1, 3)) for part in self.qkv_of(x))
        return probabilities_of(q[:, :, queries], k, self.head_dim**-0.5)

    def macs(self, input_shape):
        """Multiply-accumulates of one image: q, k, v, projection, q k^T and the sum
        over v."""
        _, tokens, dim = input_shape
        return tokens * (self.qkv_macs(dim) + dim * dim) + 2 * tokens * tokens * dim

    def qkv_macs(self, dim):
        return 3 * dim * dim
