"""Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019), one of them per batch."""

import functools
from typing import NamedTuple

import numpy as np

from keras_t2t.data.draws import Purpose, generator


class Mixing(NamedTuple):
    """How the two images of each pair of a batch are mixed.

    Outside the box an image keeps the share `kept` of itself, inside nothing.
    """

    kept: np.float32  # in 0..1
    box: np.ndarray  # (4,) int32: top, left, height, width, inside the image


NOTHING = Mixing(np.float32(1), np.zeros(4, "int32"))


@functools.lru_cache(maxsize=64)
def batch_mixing(batch, seed, image_size, augmentation):
    """`draw_mixing` for the batch of this number."""
    random = generator(Purpose.MIXING, seed, batch)
    return draw_mixing(random, image_size, image_size, augmentation)


def draw_mixing(random, height, width, augmentation):
    """Draw what is done to a batch.

    Mixup keeps one share everywhere. CutMix keeps nothing inside a box, which is drawn
    so that it may lie partly outside the image, and all outside it.
    """
    mixed, switched, *centre = random.random(4)
    if mixed >= augmentation.mixing_probability:
        return NOTHING
    cuts = augmentation.cutmix_alpha > 0
    if augmentation.mixup_alpha and augmentation.cutmix_alpha:
        cuts = switched < augmentation.switch_probability
    alpha = augmentation.cutmix_alpha if cuts else augmentation.mixup_alpha
    share = random.beta(alpha, alpha)
    if not cuts:
        return Mixing(np.float32(share), NOTHING.box)
    side = np.sqrt(1 - share)
    (top, rows), (left, columns) = (
        _interval(length, side, place)
        for length, place in zip((height, width), centre, strict=True)
    )
    return Mixing(np.float32(1), np.array([top, left, rows, columns], "int32"))


def kept_share(mixing, height, width):
    """The share of an image's own pixels in the mixed one, float32: its target's share.

    Of CutMix it is what the box, as cut off by the image's border, leaves.
    """
    _, _, rows, columns = mixing.box
    return np.float32(mixing.kept * (1 - rows * columns / (height * width)))


def _interval(length, side, place):
    """First pixel and number of pixels of the box along one axis."""
    half, centre = int(side * length) // 2, int(place * length)
    first, end = max(centre - half, 0), min(centre + half, length)
    return first, end - first
