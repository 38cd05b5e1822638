"""The stages of a model: layers whose output lies on a grid over the image."""

import re

import keras

from keras_t2t.arguments import short
from keras_t2t.models.tokens import SOFT_SPLITS

# What is listed, and drawn over the depth: of T2T-ViT and ViT, then of ResNet50. Any
# other layer on a grid can be asked for by its name.
TOKENS = re.compile(r"(tokens|convolution)_\d+")
BLOCKS = re.compile(r"block_\d+|conv1_relu|conv\d_block\d+_out")
REST = re.compile(r"project|norm")


def stage_names(model):
    """Names of the model's stages, in the order in which the image passes them.

    Args:
        model: a functional `keras.Model`, such as a T2T-ViT, a ViT or ResNet50.

    Returns:
        List of str: token layers, the projection to tokens, blocks and the last norm
        of a transformer; the first convolution and the blocks of a ResNet50; of
        another model, all layers whose output is `(batch, height, width, channels)`.

    Raises:
        ValueError: if `model` is no functional Keras model, or has no such layer.
    """
    if not isinstance(model, keras.Model) or not hasattr(model, "get_layer"):
        raise ValueError(
            f"`model` must be a functional keras.Model, got {type(model).__name__}"
        )
    patterns = (TOKENS, BLOCKS, REST)
    names = [layer.name for layer in model.layers]
    names = [name for name in names if any(p.fullmatch(name) for p in patterns)]
    if not names:
        names = [
            layer.name
            for layer in model.layers
            if not isinstance(layer, keras.layers.InputLayer)
            and len(_output_shape(layer)) == 4
        ]
    if not names:
        raise ValueError(f"`model` {model.name} has no layer whose output is on a grid")
    return names


def default_stages(model):
    """An early, a middle and a late stage, and before them the token layers.

    Of ResNet50 these are the 1st, 25th and 49th convolution.

    Returns:
        List of names, as of `stage_names`.
    """
    names = stage_names(model)
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
    if not isinstance(stages, (list, tuple)) or not all(
        isinstance(name, str) for name in stages
    ):
        raise ValueError(f"`stages` must be names of layers, got {short(stages)}")
    layers = {layer.name: layer for layer in model.layers}
    for name in stages:
        if name not in layers or _grid(model, layers[name]) is None:
            problem = "is not on a grid" if name in layers else "is no layer"
            raise ValueError(
                f"`stages`: {name!r} {problem} of {model.name}; its stages are "
                f"{', '.join(stage_names(model))}"
            )
    if not stages:
        raise ValueError("`stages` must name at least one stage, got none")
    return stages


def on_grid(model, name, values):
    """The output of stage `name`, class token left out, on its grid.

    Args:
        values: array `(batch, height, width, channels)`, `(batch, tokens, channels)`
            or `(batch, 1 + tokens, channels)`.

    Returns:
        Array `(batch, height, width, channels)`.
    """
    rows, columns = _grid(model, model.get_layer(name))
    if values.ndim == 3:
        values = values[:, values.shape[1] - rows * columns :]
    return values.reshape(len(values), rows, columns, values.shape[-1])


def token_grid(model):
    """`(rows, columns)` of the backbone's patch tokens, None if it has none."""
    layers = {layer.name: layer for layer in model.layers}
    if "project" not in layers or "class_token" not in layers:
        return None
    return tuple(_output_shape(layers["project"])[1:3])


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


def _grid(model, layer):
    """`(rows, columns)` of a layer's output, None where it is on no grid."""
    shape = _output_shape(layer)
    if None in shape[1:]:
        return None
    if len(shape) == 4:
        return tuple(shape[1:3])
    tokens = token_grid(model)
    if len(shape) == 3 and tokens and 0 <= shape[1] - tokens[0] * tokens[1] <= 1:
        return tokens
    return None


def _output_shape(layer):
    output = layer.output
    return tuple(output.shape) if hasattr(output, "shape") else ()
