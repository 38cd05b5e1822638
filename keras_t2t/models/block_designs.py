"""The designs of a transformer block that the paper compares (section 3.2).

A design is a function of the block's name, its width and its `BlockSettings`. It
returns the layers of the attention branch and those of the MLP branch.
"""

import keras

from keras_t2t.layers import (
    MLP,
    GhostMLP,
    GhostSelfAttention,
    MultiHeadSelfAttention,
    SqueezeExcitation,
)

SE_RATIO = 16  # as the authors


def standard(name, dim, settings):
    """Multi-head attention and an MLP, as in ViT; also ResNeXt's (many heads)."""
    hidden_dim = int(dim * settings.mlp_ratio)
    return branches(name, settings, MultiHeadSelfAttention, MLP, hidden_dim)


def squeeze_excitation(name, dim, settings):
    """A gate on the channels after the attention's projection, before its dropout."""
    attention, _ = standard(name, dim, settings._replace(dropout=0.0))
    attention.append(SqueezeExcitation(SE_RATIO, name=f"{name}_squeeze_excitation"))
    if settings.dropout > 0:
        attention.append(
            keras.layers.Dropout(settings.dropout, name=f"{name}_attention_dropout")
        )
    _, mlp = standard(name, dim, settings)
    return attention, mlp


def ghost(name, dim, settings):
    """Half of q, k, v and all but the first part of the MLP are cheap copies."""
    ratio = int(settings.mlp_ratio)
    return branches(name, settings, GhostSelfAttention, GhostMLP, ratio)


def branches(name, settings, attention, mlp, mlp_size):
    """One layer of the class `attention`, and one of the class `mlp`."""
    attention = attention(
        settings.num_heads,
        qkv_bias=settings.qkv_bias,
        attention_dropout=settings.attention_dropout,
        dropout=settings.dropout,
        remat=settings.remat,
        name=f"{name}_attention",
    )
    mlp = mlp(
        mlp_size,
        hidden_dropout=settings.dropout,
        dropout=settings.dropout,
        remat=settings.remat,
        name=f"{name}_mlp",
    )
    return [attention], [mlp]


BLOCK_DESIGNS = {"standard": standard, "se": squeeze_excitation, "ghost": ghost}
