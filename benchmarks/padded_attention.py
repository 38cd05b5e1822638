"""Attention on JAX through cuDNN's kernel for any number of tokens, to be measured.

The kernel, as JAX calls it, has no gradient for an odd number of tokens, and a class
token makes it odd (197 at 224 px). Here a token of zeros is added that no query sees.
It moves into `keras_t2t/layers` if a GPU shows right numbers and a gain (`gpu.py`).
"""


def padded_attention(q, k, v, scale, implementation="cudnn"):
    """softmax(scale * q k^T) v, of JAX arrays `(batch, tokens, heads, head_dim)`.

    `implementation` is `"cudnn"`, for bfloat16 and float16 on a GPU, or `"xla"`.
    """
    import jax
    from jax import numpy as jnp

    batch, tokens = q.shape[:2]
    border = ((0, 0), (0, tokens % 2), (0, 0), (0, 0))
    attended = jax.nn.dot_product_attention(
        *(jnp.pad(part, border) for part in (q, k, v)),
        scale=scale,
        key_value_seq_lengths=jnp.full((batch,), tokens, "int32"),
        implementation=implementation,
    )
    return attended[:, :tokens]


def install():
    """Makes the backbone's attention of all models the padded one."""
    from keras_t2t.layers import attention
    from keras_t2t.layers.platform import jax_platform

    ordinary = attention.scaled_dot_product_attention
    implementation = "cudnn" if jax_platform() == "gpu" else "xla"

    def attended(q, k, v, scale, dropout=None, training=False):
        if dropout is not None or not training:
            return ordinary(q, k, v, scale, dropout, training)
        return padded_attention(q, k, v, scale, implementation)

    attention.scaled_dot_product_attention = attended
