"""Multi-head self-attention of the backbone (paper section 3.2)."""

import keras
from keras import ops

from keras_t2t.layers.dense import dense
from keras_t2t.layers.precision import at_least_float32


def scaled_dot_product_attention(q, k, v, scale, dropout=None):
    """softmax(scale * q k^T) v, the softmax in float32 or better.

    Args:
        q, k, v: tensors `(batch, tokens, heads, head_dim)`.
        scale: float, factor of the logits.
        dropout: None, or a function applied to the attention probabilities
            `(batch, heads, query tokens, key tokens)`.

    Returns:
        Tensor `(batch, tokens, heads, head_dim)`.
    """
    if dropout is None and fused_attention_works(q.dtype):
        return ops.dot_product_attention(q, k, v, scale=scale)
    # Keras's fused attention has no dropout.
    logits = ops.einsum("bqhd,bkhd->bhqk", q * scale, k)
    logits = ops.cast(logits, at_least_float32(v.dtype))
    probabilities = ops.cast(ops.softmax(logits, axis=-1), v.dtype)
    if dropout is not None:
        probabilities = dropout(probabilities)
    return ops.einsum("bhqk,bkhd->bqhd", probabilities, v)


def fused_attention_works(dtype):
    """Whether Keras's fused attention compiles for `dtype` on this device."""
    if keras.backend.backend() != "jax":
        return True
    if keras.backend.standardize_dtype(dtype) != "float16":
        return True
    # jax.nn asks for a float16 product that XLA has on GPUs only.
    return any(name.startswith("gpu") for name in keras.distribution.list_devices())


@keras.saving.register_keras_serializable(package="keras_t2t")
class MultiHeadSelfAttention(keras.Layer):
    """Self-attention with one fused Dense for q, k, v and a projection.

    Args:
        num_heads: int, must divide the input width.
        qkv_bias: bool, whether q, k, v have a bias.
        attention_dropout: float in [0, 1), dropout on the attention
            probabilities.
        dropout: float in [0, 1), dropout after the projection.

    Input and output shape: `(batch, tokens, dim)`.

    Raises:
        ValueError: if `num_heads` is not a positive integer or does not divide
            the input width.
    """

    # === Config ===
    def __init__(
        self,
        num_heads,
        qkv_bias=False,
        attention_dropout=0.0,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(num_heads, int) or num_heads < 1:
            raise ValueError(
                f"`num_heads` must be a positive integer, got {num_heads!r}"
            )
        self.num_heads = num_heads
        self.qkv_bias = qkv_bias
        self.attention_dropout_rate = attention_dropout
        self.dropout_rate = dropout
        self.attention_dropout = keras.layers.Dropout(
            attention_dropout, dtype=self.dtype_policy, name="attention_dropout"
        )
        self.dropout = keras.layers.Dropout(
            dropout, dtype=self.dtype_policy, name="dropout"
        )

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "qkv_bias": self.qkv_bias,
            "attention_dropout": self.attention_dropout_rate,
            "dropout": self.dropout_rate,
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
        self.projection = dense(
            dim,
            dtype=self.dtype_policy,
            name="projection",
        )
        self.projection.build(input_shape)

    def build_qkv(self, input_shape):
        """Makes the weights of `qkv_of` for `(batch, tokens, dim)` input."""
        self.qkv = dense(
            3 * input_shape[-1],
            use_bias=self.qkv_bias,
            dtype=self.dtype_policy,
            name="qkv",
        )
        self.qkv.build(input_shape)

    # === Computation ===
    def qkv_of(self, x):
        """Tokens `(batch, tokens, dim)` -> q, k and v, each
        `(batch, tokens, heads, head_dim)`."""
        shape = (-1, x.shape[1], 3, self.num_heads, self.head_dim)
        return ops.unstack(ops.reshape(self.qkv(x), shape), 3, axis=2)

    def call(self, x, training=False):
        tokens, dim = x.shape[1:]
        q, k, v = self.qkv_of(x)
        dropout = None
        if training and self.attention_dropout_rate > 0:

            def dropout(probabilities):
                return self.attention_dropout(probabilities, training=training)

        attended = scaled_dot_product_attention(
            q, k, v, scale=self.head_dim**-0.5, dropout=dropout
        )
        x = self.projection(ops.reshape(attended, (-1, tokens, dim)))
        return self.dropout(x, training=training)

    def compute_output_shape(self, input_shape):
        return input_shape

    def macs(self, input_shape):
        """Multiply-accumulates of one image: q, k, v, projection, q k^T and the sum
        over v."""
        _, tokens, dim = input_shape
        return tokens * (self.qkv_macs(dim) + dim * dim) + 2 * tokens * tokens * dim

    def qkv_macs(self, dim):
        return 3 * dim * dim
