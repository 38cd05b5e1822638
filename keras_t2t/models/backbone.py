"""The transformer blocks between the tokens and the head (paper section 3.2)."""

from typing import NamedTuple

import keras
import numpy as np

from keras_t2t import layers as t2t_layers


class BlockSettings(NamedTuple):
    """What all blocks of one backbone have in common."""

    num_heads: int
    mlp_ratio: float
    dropout: float = 0.0
    attention_dropout: float = 0.0


def deep_narrow(x, settings, depth, drop_path):
    """`depth` blocks of one width, whose stochastic depth rises from 0 to `drop_path`.

    Args:
        x: Keras tensor `(batch, 1 + tokens, dim)`.
        settings: `BlockSettings`.
        depth: int, number of blocks.
        drop_path: float in [0, 1).

    Returns:
        Keras tensor of the same shape.
    """
    for i, rate in enumerate(np.linspace(0.0, drop_path, depth).tolist()):
        x = transformer_block(x, settings, rate, f"block_{i}", output=f"block_{i}")
    return x


def transformer_block(x, settings, drop_path, name, output):
    """One pre-norm block (equation 5); its result is the layer called `output`."""
    dim = x.shape[-1]
    attention = t2t_layers.MultiHeadSelfAttention(
        settings.num_heads,
        attention_dropout=settings.attention_dropout,
        dropout=settings.dropout,
        name=f"{name}_attention",
    )
    mlp = t2t_layers.MLP(
        int(dim * settings.mlp_ratio),
        hidden_dropout=settings.dropout,
        dropout=settings.dropout,
        name=f"{name}_mlp",
    )
    x = residual(x, attention, drop_path, f"{name}_add", f"{name}_norm_1")
    return residual(x, mlp, drop_path, output, f"{name}_norm_2")


def residual(x, branch, drop_path, name, norm_name):
    """x + stochastic depth(branch(norm(x))); the sum is the layer called `name`."""
    y = branch(layer_norm(norm_name)(x))
    if drop_path > 0:
        # One draw per image: a dropped image keeps nothing of this branch.
        y = keras.layers.Dropout(
            drop_path, noise_shape=(None, 1, 1), name=f"{branch.name}_drop_path"
        )(y)
    return keras.layers.Add(name=name)([x, y])


def layer_norm(name):
    return keras.layers.LayerNormalization(axis=-1, epsilon=1e-5, name=name)
