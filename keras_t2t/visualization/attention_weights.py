"""The attention probabilities of the real forward pass."""

import functools
from collections.abc import Iterable, Sequence

import keras
import numpy as np

from keras_t2t._ground.arguments import is_integer, require
from keras_t2t._ground.types import Array, Image, Tensor
from keras_t2t.layers import MultiHeadSelfAttention
from keras_t2t.layers.token_layer import TokenLayer
from keras_t2t.models.feature_grids import token_grid
from keras_t2t.models.pixel_input import required_graph
from keras_t2t.visualization.probe import Probe, to_array, without_gradients


# === Which layers ===
def backbone_attention(model):
    """Names of the attention layers of the model's blocks, first to last; an empty list
    if there are none."""
    layers = getattr(model, "layers", [])
    return [x.name for x in layers if isinstance(x, MultiHeadSelfAttention)]


def needed_attention(model):
    """As `backbone_attention`; a ValueError if the model has none."""
    names = backbone_attention(model)
    if not names:
        within = [x.name for x in getattr(model, "layers", []) if backbone_attention(x)]
        wanted = f"model.get_layer({within[0]!r})" if within else "a T2T-ViT or a ViT"
        raise ValueError(
            f"`model` {getattr(model, 'name', model)!r} has no attention: give {wanted}"
        )
    return names


def token_layers(model):
    """Names of the token layers with attention, an empty list if there are none."""
    required_graph(model)
    return [x.name for x in model.layers if isinstance(x, TokenLayer)]


def chosen_block(model, block):
    """Name of the attention layer of a block, by its number; -1 is the last."""
    names = needed_attention(model)
    known = is_integer(block, at_least=-len(names)) and block < len(names)
    accepted = f"an integer from {-len(names)} to {len(names) - 1} for {model.name}"
    require(known, "block", accepted, block)
    return names[block]


# === The probabilities ===
def attention_probabilities(
    layer: keras.layers.Layer, x: Tensor, queries: slice = slice(None)
) -> Tensor:
    """The weights by which an attention layer averages its values.

    They come from the layer's own norm, Dense and scale. For softmax attention they
    are softmax(scale * q k^T) and each row sums to 1. For the Performer they are the
    implied weights phi(q) phi(k)^T / (phi(q) sum(phi(k)) + 1e-8), see
    `TokenPerformer`: each row sums to S / (S + 1e-8) with S = phi(q) sum(phi(k)),
    which is about 1 unless S is that small itself.

    Args:
        layer: a `MultiHeadSelfAttention` (of any block design), `TokenPerformer` or
            `TokenTransformer`.
        x: the layer's input, a tensor with a batch axis.
        queries: slice of the query tokens.

    Returns:
        Tensor `(batch, heads, queries, keys)` in float32 or better.
    """
    with without_gradients():
        return layer.probabilities(x, queries)


# === For an image ===
def attention_maps(
    model: keras.Model,
    image: Image,
    layers: Sequence[str] | None = None,
    takes_pixels: bool | None = None,
) -> dict[str, Array]:
    """Attention probabilities of the blocks, from the real forward pass.

    Args:
        model: a T2T-ViT or ViT of any block design.
        image: an image of any size and aspect, see `model_view`.
        layers: names of attention layers; None for those of all blocks. The token
            layers are large: `tokens_1` has 3136 x 3136 numbers at 224 px.
            `token_attention` gives one row.
        takes_pixels: whether the model itself takes pixels 0..255 and standardises
            them; None: its first layers decide.

    Returns:
        Dict of layer name -> float32 array `(heads, query tokens, key tokens)`. In
        blocks the first token is the class token. For the sums of rows see
        `attention_probabilities`.

    Raises:
        ValueError: if the model has no attention, a name is not one of its attention
            layers, or `image` is no image.
    """
    known = needed_attention(model)
    if layers is None:
        layers = known
    layers = [layers] if isinstance(layers, str) else list(layers)
    for name in layers:
        if name not in known + token_layers(model):
            raise ValueError(
                f"`layers`: {name!r} is no attention layer of {model.name}; these are "
                f"{', '.join(token_layers(model) + known)}"
            )
    _, inputs, _ = Probe(model, attention=layers, takes_pixels=takes_pixels)(image)
    return maps_of(model, inputs)


def maps_of(model, inputs):
    """What `attention_maps` gives, from the inputs of the layers."""
    return {
        name: to_array(attention_probabilities(model.get_layer(name), x))[0]
        for name, x in inputs.items()
    }


def class_attention(
    model: keras.Model, image: Image, block: int = -1, takes_pixels: bool | None = None
) -> Array:
    """How much the class token attends to each patch, in each head of one block.

    Args:
        model, image, takes_pixels: as for `attention_maps`.
        block: int, number of the block; -1 is the last.

    Returns:
        float32 array `(heads, rows, columns)` on the grid of the patch tokens. Each
        head sums to 1 minus the class token's attention to itself.

    Raises:
        ValueError: as `attention_maps`, or if there is no such block.
    """
    name = chosen_block(model, block)
    return class_rows(model, attention_maps(model, image, name, takes_pixels)[name])


def class_rows(model, probabilities):
    """The class token's row of `(heads, tokens, tokens)` on the grid of the patches."""
    return probabilities[:, 0, 1:].reshape(-1, *token_grid(model))


def attention_rollout(
    model: keras.Model, image: Image, takes_pixels: bool | None = None
) -> Array:
    """How much of each patch reaches the class token through all blocks.

    Attention rollout (Abnar and Zuidema, 2020, "Quantifying Attention Flow in
    Transformers", section 3): with A_l the probabilities of block l, averaged over
    heads, the residual connection makes it (A_l + I) / 2, and the rollout is the
    product of these from the last block to the first.

    Args:
        model, image, takes_pixels: as for `attention_maps`.

    Returns:
        float32 array `(rows, columns)` on the grid of the patch tokens.

    Raises:
        ValueError: as `attention_maps`.
    """
    maps = attention_maps(model, image, takes_pixels=takes_pixels)
    return rollout(maps.values())[0, 1:].reshape(token_grid(model))


def rollout(probabilities: Iterable[Array]) -> Array:
    """The product of the blocks' (A + I) / 2, the first block rightmost.

    Args:
        probabilities: arrays `(heads, tokens, tokens)`, first block first, rows
            summing to 1.

    Returns:
        Array `(tokens, tokens)`; its rows sum to 1.
    """
    with_residual = (
        (block.mean(axis=0) + np.eye(block.shape[-1])) / 2 for block in probabilities
    )
    product = functools.reduce(lambda before, block: block @ before, with_residual)
    return product.astype("float32")


def token_attention(
    model: keras.Model,
    image: Image,
    layer: str = "tokens_1",
    token: tuple[int, int] | None = None,
    takes_pixels: bool | None = None,
) -> Array:
    """What one token attends to in a token layer, between two soft splits.

    For a Performer layer it is the row of the implied attention matrix, which the
    layer itself never computes.

    Args:
        model: a T2T-ViT with Performer or Transformer tokens.
        image, takes_pixels: as for `attention_maps`.
        layer: `"tokens_1"` (4 px per token) or `"tokens_2"` (8 px).
        token: `(row, column)` on the layer's grid; None for the middle.

    Returns:
        float32 array `(rows, columns)`. Its sum is 1 for Transformer tokens; see
        `attention_probabilities` for the Performer's.

    Raises:
        ValueError: if the model has no such layer, or the grid no such token.
    """
    token = chosen_token(model, layer, token)
    _, inputs, _ = Probe(model, attention=[layer], takes_pixels=takes_pixels)(image)
    return token_row(model, layer, inputs[layer], token)


def token_row(model, layer, x, token):
    """The row of `token` on the layer's grid, from the layer's input `x`."""
    row, column = token
    layer = model.get_layer(layer)
    rows, columns = layer.output.shape[1:3]
    index = row * columns + column
    weights = attention_probabilities(layer, x, slice(index, index + 1))
    return to_array(weights)[0, 0, 0].reshape(rows, columns)


def chosen_token(model, layer, token):
    """`token`, or for None the one in the middle of the layer's grid."""
    known = token_layers(model)
    if layer not in known:
        raise ValueError(
            f"`layer`: {layer!r} is no token layer with attention of {model.name}, "
            f"which has {', '.join(known) or 'none'}"
        )
    rows, columns = model.get_layer(layer).output.shape[1:3]
    if token is None:
        return rows // 2, columns // 2
    try:
        row, column = token
    except (TypeError, ValueError):
        row = column = None
    whole = is_integer(row, at_least=0) and is_integer(column, at_least=0)
    accepted = f"two integers, (row, column) on the {rows} x {columns} grid of {layer}"
    require(whole and row < rows and column < columns, "token", accepted, token)
    return int(row), int(column)
