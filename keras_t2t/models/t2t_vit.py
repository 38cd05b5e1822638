"""T2T-ViT as a functional Keras model (Yuan et al., ICCV 2021, arXiv:2101.11986)."""

import inspect
from functools import partial

import keras
import numpy as np

from keras_t2t import layers as t2t_layers
from keras_t2t.checkpoints import load_weights, published_weights
from keras_t2t.layers.dense import dense
from keras_t2t.layers.precision import at_least_float32
from keras_t2t.models.arguments import check_arguments, image_input
from keras_t2t.models.variants import VARIANTS, variant_name
from keras_t2t.preprocessing import MEAN, STD, preprocessing_layer

# (kernel_size, strides, padding) of the three soft splits: 16 px per token in all.
SOFT_SPLITS = ((7, 4, 2), (3, 2, 1), (3, 2, 1))
TOKEN_DIM = 64
TOKEN_LAYERS = {
    "performer": t2t_layers.TokenPerformer,
    "transformer": t2t_layers.TokenTransformer,
}
# The authors' dropout inside the token layers.
TOKEN_DROPOUT = {"performer": 0.1, "transformer": 0.0}


def T2TViT(
    embed_dim,
    depth,
    num_heads,
    mlp_ratio,
    token_type="performer",
    include_top=True,
    include_preprocessing=False,
    weights=None,
    input_tensor=None,
    input_shape=None,
    pooling=None,
    classes=1000,
    classifier_activation="softmax",
    name="t2t_vit",
    dropout=0.0,
    attention_dropout=0.0,
    drop_path=0.0,
    token_dropout=None,
):
    """Builds a Tokens-to-Token vision transformer (paper section 3).

    Args:
        embed_dim: int, width of the backbone's tokens.
        depth: int, number of backbone blocks.
        num_heads: int, attention heads per block; must divide `embed_dim`.
        mlp_ratio: float, hidden width of a block's MLP over `embed_dim`.
        token_type: `"performer"` (linear attention, the paper's T2T-ViT) or
            `"transformer"` (softmax attention, T2T-ViT_t) between the soft splits.
        include_top: bool, whether to end in the class token's classifier.
        include_preprocessing: bool. If True the model takes RGB pixels 0..255 and
            scales them as its `weights` ask, otherwise what
            `keras_t2t.preprocess_input` gives.
        weights: None (random); published weights of this variant, `"imagenet"`,
            `"imagenet384"`, `"cifar10"` or `"cifar100"`, fetched and converted once
            (`"imagenet384"` does not set `input_shape`, nor CIFAR's `classes`); or
            the path of a checkpoint, see `keras_t2t.load_checkpoint`, whose size and
            class count may differ.
        input_tensor: optional Keras tensor `(batch, height, width, channels)` to
            build the model on.
        input_shape: `(height, width, channels)`, at least 16 px each way, square
            or not; default `(224, 224, 3)`. Channels are last whatever
            `keras.config.image_data_format()` says.
        pooling: with `include_top=False`: None gives all tokens, `"token"` the
            class token, `"avg"` the mean of the patch tokens, all after the
            final norm.
        classes: int, number of classes of the head.
        classifier_activation: activation of the head; None gives logits.
        name: name of the model.
        dropout: float in [0, 1), after the position embedding, the attention
            projections and the MLP layers of the backbone.
        attention_dropout: float in [0, 1), on the backbone's attention
            probabilities.
        drop_path: float in [0, 1), stochastic depth of the last block; it rises
            linearly from 0 over the blocks and acts per image.
        token_dropout: float in [0, 1), dropout in the token layers; None means
            the authors' 0.1 for Performer tokens and 0.0 for Transformer tokens.

    Returns:
        A functional `keras.Model`. Output `(batch, classes)` in float32 under
        every dtype policy; without top `(batch, 1 + tokens, embed_dim)`, or
        `(batch, embed_dim)` with `pooling`. `tokens` is grid height times grid
        width, 14 x 14 at 224 px.

    Raises:
        ValueError: if an argument is out of range, or `weights` does not exist or
            fit; the message names it.
        OSError, ImportError: if published weights cannot be fetched or converted.
    """
    check_arguments(
        embed_dim=embed_dim,
        depth=depth,
        num_heads=num_heads,
        mlp_ratio=mlp_ratio,
        token_type=(token_type, TOKEN_LAYERS),
        include_top=include_top,
        pooling=pooling,
        classes=classes,
        dropout=dropout,
        attention_dropout=attention_dropout,
        drop_path=drop_path,
        token_dropout=token_dropout,
    )
    architecture = {
        "embed_dim": embed_dim,
        "depth": depth,
        "num_heads": num_heads,
        "mlp_ratio": mlp_ratio,
        "token_type": token_type,
    }
    published = published_weights(weights, variant_name(**architecture))
    inputs, x = image_input(input_tensor, input_shape, include_preprocessing)
    if include_preprocessing:
        mean, std = (published.mean, published.std) if published else (MEAN, STD)
        x = preprocessing_layer(mean, std, name="preprocessing")(x)

    if token_dropout is None:
        token_dropout = TOKEN_DROPOUT[token_type]
    x = image_to_tokens(x, embed_dim, token_type, token_dropout)
    x = t2t_layers.ClassToken(name="class_token")(x)
    x = t2t_layers.SinusoidPositionEmbedding(name="position_embedding")(x)
    if dropout > 0:
        x = keras.layers.Dropout(dropout, name="embedding_dropout")(x)

    for i, rate in enumerate(np.linspace(0.0, drop_path, depth).tolist()):
        attention = t2t_layers.MultiHeadSelfAttention(
            num_heads,
            attention_dropout=attention_dropout,
            dropout=dropout,
            name=f"block_{i}_attention",
        )
        mlp = t2t_layers.MLP(
            int(embed_dim * mlp_ratio),
            hidden_dropout=dropout,
            dropout=dropout,
            name=f"block_{i}_mlp",
        )
        x = residual(x, attention, rate, f"block_{i}_add", f"block_{i}_norm_1")
        x = residual(x, mlp, rate, f"block_{i}", f"block_{i}_norm_2")
    x = layer_norm("norm")(x)

    if include_top:
        x = class_token_of(x)
        x = dense(
            classes,
            activation=classifier_activation,
            dtype=at_least_float32(keras.config.dtype_policy().compute_dtype),
            name="head",
        )(x)
    elif pooling == "token":
        x = class_token_of(x)
    elif pooling == "avg":
        x = keras.layers.Cropping1D((1, 0), name="patch_tokens")(x)
        x = keras.layers.GlobalAveragePooling1D(
            data_format="channels_last", name="average_pooling"
        )(x)

    model = keras.Model(inputs, x, name=name)
    load_weights(model, weights, published, partial(T2TViT, **architecture))
    return model


def image_to_tokens(x, embed_dim, token_type, token_dropout):
    """The tokens-to-token module: `(batch, height, width, channels)` ->
    `(batch, tokens, embed_dim)`, two token layers between three soft splits."""
    for i, (kernel_size, strides, padding) in enumerate(SOFT_SPLITS):
        if i > 0:
            token_layer = TOKEN_LAYERS[token_type]
            x = token_layer(TOKEN_DIM, dropout=token_dropout, name=f"tokens_{i}")(x)
        x = t2t_layers.SoftSplit(kernel_size, strides, padding, name=f"soft_split_{i}")(
            x
        )
    x = dense(embed_dim, name="project")(x)
    return keras.layers.Reshape((-1, embed_dim), name="flatten_grid")(x)


def residual(x, branch, drop_path, name, norm_name):
    """x + stochastic depth(branch(norm(x))); the sum is the layer called `name`."""
    y = branch(layer_norm(norm_name)(x))
    if drop_path > 0:
        # One draw per image: a dropped image keeps nothing of this branch.
        y = keras.layers.Dropout(
            drop_path, noise_shape=(None, 1, 1), name=f"{branch.name}_drop_path"
        )(y)
    return keras.layers.Add(name=name)([x, y])


def layer_norm(name):
    return keras.layers.LayerNormalization(axis=-1, epsilon=1e-5, name=name)


def class_token_of(x):
    """`(batch, 1 + tokens, dim)` -> the class token, `(batch, dim)`."""
    _, tokens, dim = x.shape
    x = keras.layers.Cropping1D((0, tokens - 1), name="class_token_output")(x)
    return keras.layers.Reshape((dim,), name="class_token_features")(x)


def _named_variant(public_name):
    """The builder of one row of `VARIANTS`, with `T2TViT`'s remaining arguments."""
    row = VARIANTS[public_name]
    architecture = {
        "embed_dim": row.embed_dim,
        "depth": row.depth,
        "num_heads": row.num_heads,
        "mlp_ratio": row.mlp_ratio,
        "token_type": row.token_type,
    }
    general = inspect.signature(T2TViT)
    signature = general.replace(
        parameters=[
            parameter.replace(default=row.default_name)
            if parameter.name == "name"
            else parameter
            for parameter in general.parameters.values()
            if parameter.name not in architecture
        ]
    )

    def build(*args, **kwargs):
        arguments = signature.bind(*args, **kwargs)
        arguments.apply_defaults()
        return T2TViT(**architecture, **arguments.arguments)

    build.__name__ = build.__qualname__ = public_name
    build.__signature__ = signature
    build.__doc__ = (
        f"T2T-ViT with {row.token_type} tokens, {row.depth} blocks of width "
        f"{row.embed_dim} with {row.num_heads} heads and MLP ratio {row.mlp_ratio}: "
        f"{row.top1}% top-1 on ImageNet-1k as published.\n\n"
        "Arguments, outputs and errors are those of `keras_t2t.T2TViT`."
    )
    return build


T2TViT7 = _named_variant("T2TViT7")
T2TViT10 = _named_variant("T2TViT10")
T2TViT12 = _named_variant("T2TViT12")
T2TViT14 = _named_variant("T2TViT14")
T2TViT19 = _named_variant("T2TViT19")
T2TViT24 = _named_variant("T2TViT24")
T2TViTt14 = _named_variant("T2TViTt14")
T2TViTt19 = _named_variant("T2TViTt19")
T2TViTt24 = _named_variant("T2TViTt24")
