"""Intermediate features of a model, as grids over the image."""

import re

import keras

from keras_t2t._ground.arguments import short
from keras_t2t.models.pixel_input import required_graph

# Names of layers in T2T-ViT and ViT, and in ResNet50.
TOKENS = re.compile(r"(tokens|convolution)_\d+")
BLOCKS = re.compile(r"block_\d+|conv1_relu|conv\d_block\d+_out")
REST = re.compile(r"project|norm")


def list_features(model: keras.Model) -> list[str]:
    """Names of a model's features, in the order of computation.

    Args:
        model: a functional or a built Sequential `keras.Model`, such as a T2T-ViT, a
            ViT or ResNet50.

    Returns:
        List of str: token layers, the projection to tokens, blocks and the last norm
        of a transformer; the first convolution and the blocks of a ResNet50; of
        another model, all layers whose output is `(batch, height, width, channels)`.

    Raises:
        ValueError: if `model` is neither, or has no such layer.
    """
    required_graph(model)
    patterns = (TOKENS, BLOCKS, REST)
    names = [layer.name for layer in model.layers]
    if blocks_of(names) or any(map(TOKENS.fullmatch, names)):
        names = [name for name in names if any(p.fullmatch(name) for p in patterns)]
    else:
        names = [
            layer.name
            for layer in model.layers
            if not isinstance(layer, keras.layers.InputLayer)
            and len(output_shape(layer)) == 4
        ]
    if not names:
        raise ValueError(f"`model` {model.name} has no layer whose output is on a grid")
    return names


def blocks_of(names):
    """Those of `names` that are blocks of a T2T-ViT, a ViT or ResNet50."""
    blocks = [name for name in names if BLOCKS.fullmatch(name)]
    # DenseNet and MobileNet begin as ResNet50 does.
    return [] if blocks == ["conv1_relu"] else blocks


def check_features(argument, names, model):
    """Raises a ValueError unless `names`, the caller's `argument`, are layers of the
    model on a grid."""
    required_graph(model)
    if not isinstance(names, (list, tuple)) or not all(
        isinstance(name, str) for name in names
    ):
        raise ValueError(f"`{argument}` must be names of layers, got {short(names)}")
    layers = {layer.name: layer for layer in model.layers}
    for name in names:
        if name not in layers or layer_grid(model, layers[name]) is None:
            problem = "is not on a grid" if name in layers else "is no layer"
            raise ValueError(
                f"`{argument}`: {name!r} {problem} of {model.name}; its features are "
                f"{', '.join(list_features(model))}"
            )
    if not names:
        raise ValueError(f"`{argument}` must name at least one layer, got none")


def feature_extractor(model, names):
    """The model up to its features `names`, with its layers and weights: it returns a
    dict, for each name a grid `(batch, height, width, channels)` without the class
    token."""
    check_features("features", names, model)
    grids = {}
    for name in dict.fromkeys(names):
        x = model.get_layer(name).output
        rows, columns = layer_grid(model, model.get_layer(name))
        if len(x.shape) == 3:
            before = x.shape[1] - rows * columns  # the class token, if there is one
            x = keras.layers.Cropping1D((before, 0), name=f"{name}_patch_tokens")(x)
            x = keras.layers.Reshape((rows, columns, -1), name=f"{name}_grid")(x)
        grids[name] = x
    return keras.Model(model.inputs, grids, name=model.name)


def token_grid(model):
    """`(rows, columns)` of the backbone's patch tokens, None if it has none."""
    layers = {layer.name: layer for layer in model.layers}
    if "project" not in layers or "class_token" not in layers:
        return None
    return tuple(output_shape(layers["project"])[1:3])


def layer_grid(model, layer):
    """`(rows, columns)` of a layer's output, None if it is not on a grid."""
    shape = output_shape(layer)
    if None in shape[1:]:
        return None
    if len(shape) == 4:
        return tuple(shape[1:3])
    tokens = token_grid(model)
    if len(shape) == 3 and tokens and 0 <= shape[1] - tokens[0] * tokens[1] <= 1:
        return tokens
    return None


def output_shape(layer):
    output = layer.output
    return tuple(output.shape) if hasattr(output, "shape") else ()
