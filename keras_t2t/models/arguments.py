"""Checks of the arguments of the model builders."""

import keras

from keras_t2t._ground.arguments import (
    brief,
    check_choice,
    check_counts,
    check_flags,
    check_positive,
    check_rates,
    is_integer,
    short,
)
from keras_t2t.models.backbone import dense_widths
from keras_t2t.models.block_designs import BLOCK_DESIGNS, SE_RATIO
from keras_t2t.models.tokens import TOKEN_DROPOUT

MINIMUM_SIZE = 16  # pixels: three soft splits leave one token per 16 px
DEFAULT_INPUT_SHAPE = (224, 224, 3)
POOLINGS = (None, "token", "avg")


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
    """Raises a ValueError unless blocks of this width can be built."""
    check_counts(embed_dim=embed_dim, num_heads=num_heads)
    if embed_dim % num_heads:
        raise ValueError(
            f"`embed_dim` must be divisible by `num_heads`, got "
            f"embed_dim={embed_dim}, num_heads={num_heads}"
        )
    check_positive(mlp_ratio=mlp_ratio)


def check_stages(embed_dim, num_heads, depth, growth):
    """Raises a ValueError unless densely connected blocks can be built."""
    check_counts(growth=growth)
    stages = depth if isinstance(depth, (tuple, list)) else ()
    if not stages or not all(map(is_integer, stages)):
        raise ValueError(
            "with `growth`, `depth` must be the number of blocks in each stage, such "
            f"as (3, 6, 6, 4), got {depth!r}"
        )
    *widths, _ = dense_widths(embed_dim, depth, growth)
    if odd := [width for width in widths if width % num_heads]:
        raise ValueError(
            "`num_heads` must divide the width of every block, got "
            f"num_heads={num_heads} for width {odd[0]} (embed_dim={embed_dim}, "
            f"growth={growth}: the blocks are {', '.join(map(str, widths))} wide)"
        )


def check_design(block_type, embed_dim, mlp_ratio):
    """Raises a ValueError unless blocks of this design can be built."""
    check_choice("block_type", block_type, BLOCK_DESIGNS)
    if block_type == "ghost" and mlp_ratio != int(mlp_ratio):
        raise ValueError(
            "`mlp_ratio` must be a whole number with block_type='ghost', got "
            f"{mlp_ratio!r}"
        )
    if block_type == "ghost" and embed_dim % 2:
        raise ValueError(
            f"`embed_dim` must be even with block_type='ghost', got {embed_dim}"
        )
    if block_type == "se" and embed_dim < SE_RATIO:
        raise ValueError(
            f"`embed_dim` must be at least {SE_RATIO} with block_type='se', got "
            f"{embed_dim}"
        )


def check_tokens(token_type, token_dropout):
    """Raises a ValueError unless there are such tokens."""
    check_choice("token_type", token_type, TOKEN_DROPOUT)
    if token_dropout is not None:
        check_rates(token_dropout=token_dropout)
    if token_type == "convolution" and token_dropout:
        raise ValueError(
            "`token_dropout` must be None or 0 with token_type='convolution', which "
            f"has no token layers, got {token_dropout}"
        )


def check_patches(patch_size, image_shape):
    """Raises a ValueError unless an image `(height, width, channels)` has a patch."""
    check_counts(patch_size=patch_size)
    if min(image_shape[:2]) < patch_size:
        raise ValueError(
            "`patch_size` must be at most the image's height and width, got "
            f"{patch_size} for input_shape {tuple(image_shape)}"
        )


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
    if name is not None and (not isinstance(name, str) or not name or "/" in name):
        raise ValueError(f"`name` must be text without `/`, got {short(name)}")
    check_counts(classes=classes)
    if not isinstance(pooling, (str, type(None))) or pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be one of {POOLINGS}, got {brief(pooling)}")
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
    if input_shape is not None and not isinstance(input_shape, (tuple, list)):
        raise ValueError(
            "`input_shape` must be three integers (height, width, channels), got "
            f"{short(input_shape)}"
        )
    if input_tensor is not None:
        if not keras.backend.is_keras_tensor(input_tensor):
            raise ValueError(
                "`input_tensor` must be a Keras tensor, such as keras.Input(...), got "
                f"{type(input_tensor).__name__}"
            )
        tensor_shape = tuple(input_tensor.shape[1:])
        if input_shape is not None and tuple(input_shape) != tensor_shape:
            raise ValueError(
                f"`input_shape` {tuple(input_shape)} does not match `input_tensor` "
                f"of shape {tensor_shape}"
            )
        input_shape = tensor_shape
    elif input_shape is None:
        input_shape = DEFAULT_INPUT_SHAPE
    input_shape = tuple(input_shape)
    if len(input_shape) != 3 or not all(is_integer(size, -1) for size in input_shape):
        raise ValueError(
            "`input_shape` must be three integers (height, width, channels), got "
            f"{input_shape}"
        )
    height, width, channels = input_shape
    if height < MINIMUM_SIZE or width < MINIMUM_SIZE or channels < 1:
        raise ValueError(
            f"`input_shape` must be at least {MINIMUM_SIZE} px high and wide with "
            f"at least one channel, got {input_shape}"
        )
    if include_preprocessing and channels != 3:
        raise ValueError(
            "`include_preprocessing` needs 3 channels (RGB), got input_shape "
            f"{input_shape}"
        )
    if input_tensor is None:
        images = keras.Input(input_shape, name="image")
        return images, images
    inputs = keras.utils.get_source_inputs(input_tensor)
    return (inputs[0] if len(inputs) == 1 else inputs), input_tensor
