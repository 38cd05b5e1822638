"""The transformer blocks between the tokens and the head (paper section 3.2)."""

from typing import NamedTuple

import keras
import numpy as np

from keras_t2t.layers.host_initializers import kernel_initializer
from keras_t2t.models.block_designs import BLOCK_DESIGNS

# The authors' dense models take their stochastic depth from a ramp of this many steps.
DENSE_RAMP = 12


class BlockSettings(NamedTuple):
    """The settings that all blocks of a backbone share."""

    num_heads: int
    mlp_ratio: float
    block_type: str = "standard"
    qkv_bias: bool = False
    epsilon: float = 1e-5  # of the LayerNorms
    dropout: float = 0.0
    attention_dropout: float = 0.0
    remat: bool = False  # whether attention and MLP are recomputed for the gradient


def deep_narrow(x, settings, depth, drop_path):
    """`depth` blocks of one width, whose stochastic depth rises from 0 to `drop_path`,
    for tokens `(batch, 1 + tokens, dim)`."""
    for i, rate in enumerate(np.linspace(0.0, drop_path, depth).tolist()):
        x = transformer_block(x, settings, rate, f"block_{i}", output=f"block_{i}")
    return x


def densely_connected(x, settings, stages, growth, drop_path):
    """Blocks that each add `growth` channels to their input (T2T-ViT-Dense).

    A Dense narrows a block's result, which is then concatenated with the block's
    input. Between stages a Dense halves the width. Of `drop_path` stage i has i/11, as
    the authors' do.
    """
    block = 0
    for stage, depth in enumerate(stages):
        if stage > 0:
            x = dense(
                x.shape[-1] // 2, activation="gelu", name=f"transition_{stage - 1}"
            )(x)
        rate = drop_path * min(stage / (DENSE_RAMP - 1), 1)
        for _ in range(depth):
            name = f"block_{block}"
            new = transformer_block(x, settings, rate, name, output=f"{name}_add_2")
            new = dense(growth, name=f"{name}_growth")(new)
            x = keras.layers.Concatenate(axis=-1, name=name)([x, new])
            block += 1
    return x


def dense_widths(embed_dim, stages, growth):
    """The widths of the blocks of `densely_connected`, and of its output."""
    widths = [embed_dim]
    for stage, depth in enumerate(stages):
        if stage > 0:
            widths[-1] //= 2
        for _ in range(depth):
            widths.append(widths[-1] + growth)
    return widths


def transformer_block(x, settings, drop_path, name, output):
    """One pre-norm block (equation 5); its result is the layer called `output`."""
    attention, mlp = BLOCK_DESIGNS[settings.block_type](name, x.shape[-1], settings)
    for branch, norm_name, sum_name in (
        (attention, f"{name}_norm_1", f"{name}_add"),
        (mlp, f"{name}_norm_2", output),
    ):
        y = layer_norm(norm_name, settings.epsilon)(x)
        for layer in branch:
            y = layer(y)
        if drop_path > 0:
            # One draw per image: the whole branch is dropped or kept.
            y = keras.layers.Dropout(
                drop_path, noise_shape=(None, 1, 1), name=f"{branch[0].name}_drop_path"
            )(y)
        x = keras.layers.Add(name=sum_name)([x, y])
    return x


def layer_norm(name, epsilon=1e-5):
    return keras.layers.LayerNormalization(axis=-1, epsilon=epsilon, name=name)


def dense(units, **kwargs):
    """A Dense with `kernel_initializer`, of Keras's own class, which is what a saved
    model then names."""
    return keras.layers.Dense(units, kernel_initializer=kernel_initializer(), **kwargs)
