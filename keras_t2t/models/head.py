"""The output of a model: classes, features or all tokens.

A model for other classes gets new layers of the names in `HEADS`.
"""

import keras

from keras_t2t.checkpoints.official import HEADS
from keras_t2t.layers.platform import at_least_float32
from keras_t2t.models.backbone import dense

TOKEN_SHARE = 0.5  # weight of the patch tokens' largest logits in the sum


def head_layers(model):
    """The classifiers of a model: for its class token and, with token labelling, for
    its patch tokens."""
    return [layer for layer in model.layers if layer.name in HEADS]


def head(x, include_top, pooling, classes, classifier_activation, token_labelling):
    """The model's output from the normalised tokens `(batch, 1 + tokens, dim)`: classes
    `(batch, classes)`, the tokens, or with `pooling` features `(batch, dim)`."""
    if include_top and token_labelling:
        return token_labelling_head(x, classes, classifier_activation)
    if include_top:
        return classifier(classes, "head", classifier_activation)(class_token_of(x))
    if pooling == "token":
        return class_token_of(x)
    if pooling == "avg":
        return keras.layers.GlobalAveragePooling1D(
            data_format="channels_last", name="average_pooling"
        )(patch_tokens_of(x))
    return x


def classifier(classes, name, activation=None):
    return dense(classes, activation=activation, dtype=head_dtype(), name=name)


def head_dtype():
    return at_least_float32(keras.config.dtype_policy().compute_dtype)


def token_labelling_head(x, classes, classifier_activation):
    """The class token's logits plus, per class, half of the largest patch token's.

    Jiang et al., "All Tokens Matter", 2021 (arXiv:2104.10858); the sum is that of the
    authors' code for inference.
    """
    settings = {"dtype": head_dtype()}
    logits = classifier(classes, "head")(class_token_of(x))
    tokens = classifier(classes, "aux_head")(patch_tokens_of(x))
    best = keras.layers.GlobalMaxPooling1D(
        data_format="channels_last", name="best_token", **settings
    )(tokens)
    return keras.layers.Activation(
        classifier_activation, name="predictions", **settings
    )(logits + TOKEN_SHARE * best)


def patch_tokens_of(x):
    """`(batch, 1 + tokens, dim)` -> the patch tokens, `(batch, tokens, dim)`."""
    return keras.layers.Cropping1D((1, 0), name="patch_tokens")(x)


def class_token_of(x):
    """`(batch, 1 + tokens, dim)` -> the class token, `(batch, dim)`."""
    _, tokens, dim = x.shape
    x = keras.layers.Cropping1D((0, tokens - 1), name="class_token_output")(x)
    return keras.layers.Reshape((dim,), name="class_token_features")(x)
