"""Checks of the arguments that every model builder shares."""

import numbers

import keras

MINIMUM_SIZE = 16  # pixels: three soft splits leave one token per 16 px
DEFAULT_INPUT_SHAPE = (224, 224, 3)
POOLINGS = (None, "token", "avg")


def check_arguments(
    *, embed_dim, num_heads, mlp_ratio, token_type, include_top, pooling, **others
):
    """Raises a ValueError that names the first argument out of its range.

    `token_type` is a pair of the value and what is accepted; `others` are
    counts (integers of at least 1) or dropout rates (None or in [0, 1)).
    """
    token_type, token_types = token_type
    counts = {"embed_dim": embed_dim, "num_heads": num_heads}
    counts |= {key: others.pop(key) for key in ("depth", "classes")}
    for argument, value in counts.items():
        if not isinstance(value, numbers.Integral) or value < 1:
            raise ValueError(f"`{argument}` must be a positive integer, got {value!r}")
    if embed_dim % num_heads:
        raise ValueError(
            f"`embed_dim` must be divisible by `num_heads`, got "
            f"embed_dim={embed_dim}, num_heads={num_heads}"
        )
    if not mlp_ratio > 0:
        raise ValueError(f"`mlp_ratio` must be positive, got {mlp_ratio!r}")
    if token_type not in token_types:
        raise ValueError(
            f"`token_type` must be one of {sorted(token_types)}, got {token_type!r}"
        )
    if pooling not in POOLINGS:
        raise ValueError(f"`pooling` must be one of {POOLINGS}, got {pooling!r}")
    if include_top and pooling is not None:
        raise ValueError(
            f"`pooling` needs include_top=False, got pooling={pooling!r} with "
            "include_top=True"
        )
    for argument, value in others.items():
        if argument == "token_dropout" and value is None:
            continue
        if not isinstance(value, numbers.Real) or not 0 <= value < 1:
            raise ValueError(f"`{argument}` must be in [0, 1), got {value!r}")


def image_input(input_tensor, input_shape, include_preprocessing):
    """The model's inputs and the image tensor to build on.

    Returns:
        `(inputs, images)`: what `keras.Model` takes as inputs, and a Keras tensor
        `(batch, height, width, channels)`.

    Raises:
        ValueError: if the shape is not three known integers, a side is shorter
            than 16 px, or it does not fit `input_tensor` or the preprocessing.
    """
    if input_tensor is not None:
        if not keras.backend.is_keras_tensor(input_tensor):
            raise ValueError(
                "`input_tensor` must be a Keras tensor such as keras.Input(...) "
                f"gives, got {type(input_tensor).__name__}"
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
    if len(input_shape) != 3 or not all(
        isinstance(size, numbers.Integral) for size in input_shape
    ):
        raise ValueError(
            "`input_shape` must be three integers (height, width, channels), got "
            f"{input_shape}"
        )
    height, width, channels = input_shape
    if height < MINIMUM_SIZE or width < MINIMUM_SIZE or channels < 1:
        raise ValueError(
            f"`input_shape` must be at least {MINIMUM_SIZE} px high and wide with "
            f"one channel or more, got {input_shape}"
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
