"""Checks of the arguments of the model builders."""

from typing import get_args

import keras

from keras_t2t._ground.arguments import (
    check_choice,
    check_counts,
    check_flags,
    check_positive,
    check_rates,
    is_integer,
    require,
    short,
)
from keras_t2t._ground.types import Pooling
from keras_t2t.models.block_designs import BLOCK_DESIGNS, SE_RATIO
from keras_t2t.models.tokens import TOKEN_DROPOUT

MINIMUM_SHAPE = (16, 16, 1)  # three soft splits leave one token per 16 px
DEFAULT_INPUT_SHAPE = (224, 224, 3)
POOLINGS = get_args(Pooling)


def check_training(dropout, attention_dropout, drop_path, remat):
    """Raises a ValueError unless the rates are in [0, 1), and `remat` is without
    dropout: recomputing would have to draw the same dropout again."""
    check_rates(
        dropout=dropout, attention_dropout=attention_dropout, drop_path=drop_path
    )
    check_flags(remat=remat)
    if remat and (dropout > 0 or attention_dropout > 0):
        raise ValueError(
            "`remat=True` needs `dropout` and `attention_dropout` of 0, got "
            f"dropout={dropout!r}, attention_dropout={attention_dropout!r}"
        )


def check_blocks(embed_dim, num_heads, mlp_ratio):
    """Raises a ValueError unless these are numbers of which blocks can be built; that
    `num_heads` divides their width, the attention checks."""
    check_counts(embed_dim=embed_dim, num_heads=num_heads)
    check_positive(mlp_ratio=mlp_ratio)


def check_depth(depth, growth):
    """Raises a ValueError unless it is a number of blocks, with `growth` of each stage
    of densely connected ones."""
    if growth is None:
        check_counts(depth=depth)
        return
    check_counts(growth=growth)
    stages = depth if isinstance(depth, (tuple, list)) else ()
    accepted = "the number of blocks in each stage with `growth`, such as (3, 6, 6, 4)"
    require(stages and all(map(is_integer, stages)), "depth", accepted, depth)


def check_design(block_type, embed_dim, mlp_ratio):
    """Raises a ValueError unless blocks of this design can be built."""
    check_choice("block_type", block_type, BLOCK_DESIGNS)
    design = f"with block_type={block_type!r}"
    if block_type == "ghost":
        whole = mlp_ratio == int(mlp_ratio)
        require(whole, "mlp_ratio", f"a whole number {design}", mlp_ratio)
        require(embed_dim % 2 == 0, "embed_dim", f"even {design}", embed_dim)
    if block_type == "se":
        wide, accepted = embed_dim >= SE_RATIO, f"at least {SE_RATIO} {design}"
        require(wide, "embed_dim", accepted, embed_dim)


def check_tokens(token_type, token_dropout):
    """Raises a ValueError unless there are such tokens."""
    check_choice("token_type", token_type, TOKEN_DROPOUT)
    if token_dropout is not None:
        check_rates(token_dropout=token_dropout)
    if token_type == "convolution":
        accepted = "None or 0 with token_type='convolution', which has no token layers"
        require(not token_dropout, "token_dropout", accepted, token_dropout)


def check_patches(patch_size, image_shape):
    """Raises a ValueError unless an image `(height, width, channels)` has a patch."""
    check_counts(patch_size=patch_size)
    accepted = f"at most the image's height and width, {tuple(image_shape[:2])}"
    require(patch_size <= min(image_shape[:2]), "patch_size", accepted, patch_size)


def check_outputs(include_top, pooling, classes, classifier_activation, name, features):
    """Raises a ValueError unless such a head can be built and the name is valid."""
    check_flags(include_top=include_top)
    try:
        keras.activations.get(classifier_activation)
    except ValueError:
        raise ValueError(
            "`classifier_activation` must be None, the name of one of "
            f"keras.activations, or a function, got {short(classifier_activation)}"
        ) from None
    holds = name is None or (isinstance(name, str) and name and "/" not in name)
    require(holds, "name", "text without `/`", name, short)
    check_counts(classes=classes)
    holds = isinstance(pooling, (str, type(None))) and pooling in POOLINGS
    require(holds, "pooling", f"one of {POOLINGS}", pooling)
    if include_top and pooling is not None:
        raise ValueError(
            f"`pooling` needs include_top=False, got pooling={pooling!r} with "
            "include_top=True"
        )
    if features is not None and (include_top or pooling is not None):
        raise ValueError(
            "`features` need include_top=False and pooling=None, got features="
            f"{short(features)} with include_top={include_top}, pooling={pooling!r}"
        )


def image_input(input_tensor, input_shape, include_preprocessing):
    """`(inputs, images)`: what `keras.Model` takes as inputs, and the tensor
    `(batch, height, width, channels)` to build on, of a shape that was checked."""
    check_flags(include_preprocessing=include_preprocessing)
    shape = tuple(input_shape) if isinstance(input_shape, list) else input_shape
    if input_tensor is not None:
        holds = keras.backend.is_keras_tensor(input_tensor)
        accepted = "a Keras tensor, such as keras.Input(...)"
        require(holds, "input_tensor", accepted, input_tensor, short)
        tensor_shape = tuple(input_tensor.shape[1:])
        if isinstance(shape, tuple) and shape != tensor_shape:
            raise ValueError(
                f"`input_shape` {shape} does not match `input_tensor` of shape "
                f"{tensor_shape}"
            )
        shape = tensor_shape if shape is None else shape
    elif shape is None:
        shape = DEFAULT_INPUT_SHAPE
    holds = isinstance(shape, tuple) and len(shape) == 3
    holds = holds and all(map(is_integer, shape, MINIMUM_SHAPE))
    accepted = f"three integers (height, width, channels), at least {MINIMUM_SHAPE}"
    require(holds, "input_shape", accepted, shape)
    if include_preprocessing and shape[2] != 3:
        raise ValueError(
            f"`include_preprocessing` needs 3 channels (RGB), got input_shape {shape}"
        )
    if input_tensor is None:
        images = keras.Input(shape, name="image")
        return images, images
    inputs = keras.utils.get_source_inputs(input_tensor)
    return (inputs[0] if len(inputs) == 1 else inputs), input_tensor
