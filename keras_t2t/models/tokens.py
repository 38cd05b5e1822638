"""From an image to the tokens of the backbone (paper section 3.1)."""

from functools import partial

import keras

from keras_t2t import layers as t2t_layers

# (kernel_size, strides, padding) of the three soft splits or convolutions: 16 px per
# token in all.
SOFT_SPLITS = ((7, 4, 2), (3, 2, 1), (3, 2, 1))
TOKEN_DIM = 64
TOKEN_LAYERS = {
    "performer": t2t_layers.TokenPerformer,
    "transformer": t2t_layers.TokenTransformer,
}
# The kinds of tokens, with the authors' dropout inside the token layers.
TOKEN_DROPOUT = {"performer": 0.1, "transformer": 0.0, "convolution": 0.0}


def image_to_tokens(x, embed_dim, token_type, token_dropout, fused_soft_split, remat):
    """An image `(batch, height, width, channels)` as tokens of 16 px,
    `(batch, tokens, embed_dim)`, in three steps; arguments as for `T2TViT`."""
    if token_type == "convolution":
        x = three_convolutions(x, embed_dim)
        return t2t_layers.FlattenGrid(name="flatten_grid")(x)
    if token_dropout is None:
        token_dropout = TOKEN_DROPOUT[token_type]
    readers = [
        partial(
            TOKEN_LAYERS[token_type],
            TOKEN_DIM,
            dropout=token_dropout,
            remat=remat,
            name=f"tokens_{i}",
        )
        for i in (1, 2)
    ]
    readers.append(partial(t2t_layers.PatchProjection, embed_dim, name="project"))
    for i, (soft_split, reader) in enumerate(zip(SOFT_SPLITS, readers, strict=True)):
        if fused_soft_split:
            x = reader(soft_split=soft_split)(x)
        else:
            x = t2t_layers.SoftSplit(*soft_split, name=f"soft_split_{i}")(x)
            x = reader()(x)
    return t2t_layers.FlattenGrid(name="flatten_grid")(x)


def three_convolutions(x, embed_dim):
    """The paper's T2T-ViT_c: convolutions in place of soft splits and token layers."""
    filters = (TOKEN_DIM, TOKEN_DIM, embed_dim)
    names = ("convolution_0", "convolution_1", "project")
    for sizes, width, name in zip(SOFT_SPLITS, filters, names, strict=True):
        x = convolution(x, width, *sizes, name)
    return x


def convolution(x, filters, kernel_size, strides, padding, name):
    """A convolution of a symmetrically padded image, with Keras's default initializer.

    The padding is a separate layer, since Keras's "same" pads asymmetrically here.
    """
    if padding:
        x = keras.layers.ZeroPadding2D(
            padding, data_format="channels_last", name=f"{name}_padding"
        )(x)
    return keras.layers.Conv2D(
        filters, kernel_size, strides, data_format="channels_last", name=name
    )(x)
