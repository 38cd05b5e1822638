"""Stages of a model, and their feature maps for one image (paper figure 2)."""

from typing import NamedTuple

import keras
import numpy as np

from keras_t2t._ground.types import Array, Image, Stages
from keras_t2t.models.feature_grids import (
    TOKENS,
    blocks_of,
    check_features,
    list_features,
)
from keras_t2t.visualization.probe import Probe

# Relative to the median magnitude of a stage's channels, see `channel_states`.
DEAD = 0.01
SATURATED = 10.0


# === Which stages ===
def default_stages(model: keras.Model) -> list[str]:
    """The token layers, then an early, a middle and a late stage.

    For ResNet50 these are the 1st, 25th and 49th convolution.

    Returns:
        List of names from `keras_t2t.list_features`.
    """
    names = list_features(model)
    tokens = [name for name in names if TOKENS.fullmatch(name)]
    blocks = blocks_of(names) or names
    chosen = [blocks[0], blocks[(len(blocks) - 1) // 2], blocks[-1]]
    return list(dict.fromkeys(tokens + chosen))


def check_stages(model, stages):
    """`stages` as a list of names, the default for None."""
    if stages is None:
        return default_stages(model)
    stages = [stages] if isinstance(stages, str) else stages
    check_features("stages", stages, model)
    return stages


# === Their features ===
def feature_maps(
    model: keras.Model,
    image: Image,
    stages: Stages = None,
    takes_pixels: bool | None = None,
) -> dict[str, Array]:
    """The channels of chosen stages on their grids, from the real forward pass.

    Tokens are put back on the grid of the image that they were cut from. The class
    token, which has no place there, is left out.

    Args:
        model: a functional or a built Sequential `keras.Model`, such as a T2T-ViT, a
            ViT or ResNet50.
        image: an image of any size and aspect, see `model_view`.
        stages: names of layers from `keras_t2t.list_features`; None for
            `default_stages`.
        takes_pixels: whether the model itself takes pixels 0..255 and standardises
            them; None: its first layers decide.

    Returns:
        Dict of stage name -> float32 array `(height, width, channels)`.

    Raises:
        ValueError: if `image` is no image, a stage is unknown (the message lists the
            model's stages), or its layers do not decide whether the model takes pixels.
        FloatingPointError: the model gives values that are no numbers.
    """
    stages = check_stages(model, stages)
    features, *_ = Probe(model, stages, takes_pixels=takes_pixels)(image)
    return features


class ChannelStates(NamedTuple):
    """Which channels of a stage are dead or saturated."""

    dead: np.ndarray  # bool (channels,)
    saturated: np.ndarray  # bool (channels,)


def channel_states(
    features: Array, dead: float = DEAD, saturated: float = SATURATED
) -> ChannelStates:
    """Finds the "feature maps with zero or too large values" of the paper's figure 2.

    With x[p, c] the value of channel c at position p, and medians over the channels
    that are not zero everywhere:

    - dead: max_p |x[p, c]| <= 0.01 * median_c max_p |x[p, c]|, near zero everywhere;
    - saturated: mean_p |x[p, c]| >= 10 * median_c mean_p |x[p, c]|.

    The paper gives no thresholds; these are ours.

    Args:
        features: array `(height, width, channels)`.
        dead, saturated: the factors 0.01 and 10.

    Returns:
        `ChannelStates`.
    """
    magnitude = np.abs(features).reshape(-1, features.shape[-1])
    largest, mean = magnitude.max(axis=0), magnitude.mean(axis=0)
    active = largest > 0
    if not active.any():
        return ChannelStates(largest == 0, active)  # values may be no numbers
    return ChannelStates(
        largest <= dead * np.median(largest[active]),
        mean >= saturated * np.median(mean[active]),
    )
