"""The output of a model: classes, features or all tokens."""

import keras

from keras_t2t.layers.dense import dense
from keras_t2t.layers.precision import at_least_float32


def head(x, include_top, pooling, classes, classifier_activation):
    """The model's output from the normalised tokens `(batch, 1 + tokens, dim)`.

    Returns:
        Keras tensor `(batch, classes)` with `include_top`; without it the tokens, or
        `(batch, dim)` with `pooling`.
    """
    if include_top:
        return dense(
            classes,
            activation=classifier_activation,
            dtype=at_least_float32(keras.config.dtype_policy().compute_dtype),
            name="head",
        )(class_token_of(x))
    if pooling == "token":
        return class_token_of(x)
    if pooling == "avg":
        x = keras.layers.Cropping1D((1, 0), name="patch_tokens")(x)
        return keras.layers.GlobalAveragePooling1D(
            data_format="channels_last", name="average_pooling"
        )(x)
    return x


def class_token_of(x):
    """`(batch, 1 + tokens, dim)` -> the class token, `(batch, dim)`."""
    _, tokens, dim = x.shape
    x = keras.layers.Cropping1D((0, tokens - 1), name="class_token_output")(x)
    return keras.layers.Reshape((dim,), name="class_token_features")(x)
