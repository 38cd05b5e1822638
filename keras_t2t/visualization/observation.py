"""All data for figures and report of one image, from one forward pass."""

from typing import NamedTuple

import keras
import numpy as np

from keras_t2t._ground.arguments import require
from keras_t2t._ground.types import Image, Stages
from keras_t2t.models.feature_grids import token_grid
from keras_t2t.visualization.attention_weights import (
    backbone_attention,
    chosen_block,
    class_rows,
    maps_of,
    rollout,
    token_layers,
    token_row,
)
from keras_t2t.visualization.features import check_stages
from keras_t2t.visualization.image_view import model_view
from keras_t2t.visualization.probe import Probe, to_array


class Observation(NamedTuple):
    """Features, attention and output of a model for one image."""

    view: np.ndarray  # uint8 (height, width, 3), the image as the model sees it
    features: dict  # stage -> (height, width, channels)
    attention: "ObservedAttention | None"  # None for a model without attention
    output: np.ndarray  # the model's output for this image, without batch axis


class ObservedAttention(NamedTuple):
    """Attention weights, each `(rows, columns)` on the grid of its layer."""

    of_class: dict  # layer of an early, middle and late block -> mean over heads
    heads: np.ndarray  # (heads, rows, columns) of the chosen block
    block: str  # the attention layer of the chosen block
    rollout: np.ndarray
    of_token: dict  # token layer -> (weights of the chosen token, its place)


def observe(
    model: keras.Model,
    image: Image,
    stages: Stages = None,
    block: int = -1,
    token: tuple[float, float] | None = None,
    takes_pixels: bool | None = None,
) -> Observation:
    """Runs `model` once on `image` and returns everything that is drawn.

    Args:
        model: a functional or a built Sequential `keras.Model`.
        image: see `model_view`.
        stages: see `feature_maps`.
        block: number of the block whose heads are returned one by one; -1 is the last.
        token: `(vertical, horizontal)` place in the image as the model sees it, each
            from 0 to 1, of the token whose attention in the token layers is returned;
            None for the middle.
        takes_pixels: see `feature_maps`.

    Returns:
        `Observation`.

    Raises:
        ValueError: as `feature_maps`, if there is no such `block`, if `token` is not
            in the image, or if one of them is given for a model without that attention.
        FloatingPointError: the model gives values that are no numbers.
    """
    stages = check_stages(model, stages)
    blocks = backbone_attention(model)
    tokens = token_layers(model) if blocks else []
    lacks = f"for {model.name}, which has no attention"
    require(block == -1 or blocks, "block", f"-1 {lacks}", block)
    given = token is not None
    require(not given or tokens, "token", f"None {lacks} in token layers", token)
    chosen = chosen_block(model, block) if blocks else ""
    token = token if given else (0.5, 0.5)
    places = {name: _place(model, name, token) for name in tokens}
    view = model_view(model, image)
    features, inputs, output = Probe(model, stages, tokens + blocks, takes_pixels)(view)
    attention = None
    if blocks:
        maps = maps_of(model, {name: inputs[name] for name in blocks})
        of_class = {name: class_rows(model, a) for name, a in maps.items()}
        drawn = dict.fromkeys((blocks[0], blocks[(len(blocks) - 1) // 2], blocks[-1]))
        attention = ObservedAttention(
            {name: of_class[name].mean(axis=0) for name in drawn},
            of_class[chosen],
            chosen,
            rollout(maps.values())[0, 1:].reshape(token_grid(model)),
            {
                name: (token_row(model, name, inputs[name], place), place)
                for name, place in places.items()
            },
        )
    return Observation(view, features, attention, to_array(output)[0])


def _place(model, layer, token):
    """The token of a layer at a place in the image."""
    inside = np.shape(token) == (2,) and all(0 <= place <= 1 for place in token)
    require(inside, "token", "(vertical, horizontal), each from 0 to 1", token)
    grid = model.get_layer(layer).output.shape[1:3]
    return tuple(
        min(int(place * size), size - 1)
        for place, size in zip(token, grid, strict=True)
    )
