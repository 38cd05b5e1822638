"""The stages to draw: features of a model, as grids over the image."""

import keras

from keras_t2t.models.feature_grids import (
    BLOCKS,
    TOKENS,
    check_features,
    layer_grid,
    list_features,
)
from keras_t2t.models.tokens import SOFT_SPLITS


def default_stages(model: keras.Model) -> list[str]:
    """The token layers, then an early, a middle and a late stage.

    For ResNet50 these are the 1st, 25th and 49th convolution.

    Returns:
        List of names from `keras_t2t.list_features`.
    """
    names = list_features(model)
    tokens = [name for name in names if TOKENS.fullmatch(name)]
    blocks = [name for name in names if BLOCKS.fullmatch(name)] or names
    chosen = [blocks[0], blocks[(len(blocks) - 1) // 2], blocks[-1]]
    return list(dict.fromkeys(tokens + chosen))


def check_stages(model, stages):
    """`stages` as a list of names, the default for None.

    Raises:
        ValueError: if one is no layer of the model, or is not on a grid; the message
            lists the stages.
    """
    if stages is None:
        return default_stages(model)
    stages = [stages] if isinstance(stages, str) else stages
    check_features("stages", stages, model)
    return stages


def on_grid(model, name, values):
    """The output of stage `name` on its grid, without the class token.

    Args:
        values: array `(batch, height, width, channels)`, `(batch, tokens, channels)`
            or `(batch, 1 + tokens, channels)`.

    Returns:
        Array `(batch, height, width, channels)`.
    """
    rows, columns = layer_grid(model, model.get_layer(name))
    if values.ndim == 3:
        values = values[:, values.shape[1] - rows * columns :]
    return values.reshape(len(values), rows, columns, values.shape[-1])


def pixels_per_token(model, name):
    """Pixels between the centres of neighbouring tokens in the attention layer `name`.

    Returns:
        `(vertical, horizontal)`.
    """
    if TOKENS.fullmatch(name):
        splits = SOFT_SPLITS[: int(name.rpartition("_")[2])]
    elif any(TOKENS.fullmatch(layer.name) for layer in model.layers):
        splits = SOFT_SPLITS
    else:
        return tuple(model.get_layer("project").strides)
    pixels = 1
    for _, strides, _ in splits:
        pixels *= strides
    return (pixels, pixels)
