"""All random numbers of an image in one value: crop, flip, operations and erasing."""

import functools
from typing import NamedTuple

import numpy as np

from keras_t2t._ground.types import Array
from keras_t2t.data.draws import Purpose, generator, operations
from keras_t2t.data.draws.crop import RANDOM_NUMBERS
from keras_t2t.data.draws.erasing import draw_boxes

# Images are drawn so many at a time: making a generator takes as long as 500 numbers.
BLOCK = 64


class ImageDraws(NamedTuple):
    """What is done to an image, or, with one more axis in front, to several."""

    crop: Array  # (22,) float64, numbers for `crop_window` or `padded_corner`
    bicubic: Array  # () bool, the crop's filter
    flipped: Array  # () bool
    operations: Array  # (operations,) int32, see `draw_operations`
    levels: Array  # (operations,) float32
    signs: Array  # (operations,) float32
    operations_bicubic: Array  # (operations,) bool
    erased: Array  # (4,) int32: top, left, height, width; 0 x 0 for nothing


def draws_at(position, asked):
    """Draw for one image of a `Training` or `Validation`; where the crop is
    evaluation's, the filter is too."""
    block, row = divmod(int(position), BLOCK)
    whole = _block(block, int(asked.seed), int(asked.image_size), asked.augmentation)
    draws = ImageDraws(*(column[row] for column in whole))
    if asked.augmentation.crops_centre:
        return draws._replace(bicubic=np.bool_(asked.interpolation == "bicubic"))
    return draws


@functools.lru_cache(maxsize=64)
def _block(block, seed, image_size, augmentation):
    def random(purpose):
        return generator(purpose, seed, block)

    crop, erased = random(Purpose.CROP), augmentation.erasing_probability
    return ImageDraws(
        crop.random((BLOCK, RANDOM_NUMBERS)),
        operations.are_bicubic(crop.random(BLOCK), augmentation),
        random(Purpose.FLIP).random(BLOCK) < augmentation.flip_probability,
        *_operations(random, augmentation),
        draw_boxes(random(Purpose.ERASING), BLOCK, image_size, image_size, erased),
    )


def _operations(random, augmentation):
    """The operations on colours and shapes, in the order in which they are applied;
    see `draw_operations`."""
    colors, drawn = random(Purpose.COLORS), []
    if augmentation.three_augment:
        drawn.append(operations.draw_three_augment(colors, BLOCK))
    if jitter := augmentation.color_jitter:
        drawn.append(operations.draw_color_jitter(colors, BLOCK, jitter))
    others = random(Purpose.OPERATIONS)
    drawn.append(operations.draw_operations(others, BLOCK, augmentation))
    return [np.concatenate(columns, axis=1) for columns in zip(*drawn, strict=True)]
