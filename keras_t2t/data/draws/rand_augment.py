"""The draws of RandAugment, in the variant `rand-m9-mstd0.5-inc1` (Cubuk et al., 2020).

timm's 15 operations, which are Pillow's.
"""

import numpy as np

from keras_t2t._ground.normalizations import IMAGENET_MEAN

OPERATIONS = (
    "auto_contrast",
    "equalize",
    "invert",
    "rotate",
    "posterize",
    "solarize",
    "solarize_add",
    "color",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
)
NONE = len(OPERATIONS)
# What is drawn elsewhere and done beside them.
OTHERS = ("grey", "blur")
NUMBERS_OF = {
    name: number for number, name in enumerate((*OPERATIONS, "none", *OTHERS))
}
# Of pixels that a geometric operation takes from outside the image.
FILL = tuple(round(255 * mean) for mean in IMAGENET_MEAN)


def draw_operations(random, images, augmentation):
    """Operations with replacement, each with its own magnitude.

    Args:
        random: `numpy.random.Generator`.
        images: int.
        augmentation: an `Augmentation`.

    Returns:
        Four arrays (images, num_operations): the operations' numbers, int32, where
        `NONE` is none; levels, magnitude / 10, float32 in 0..1; signs 1 or -1, float32;
        whether the bicubic filter is used.
    """
    shape = images, augmentation.num_operations
    which, applied, negated, smooth = random.random((4, *shape))
    magnitudes = augmentation.magnitude + (
        augmentation.magnitude_std * random.standard_normal(shape)
    )
    operations = np.where(
        applied < augmentation.operation_probability,
        (which * len(OPERATIONS)).astype("int32"),
        np.int32(NONE),
    )
    levels = (np.clip(magnitudes, 0, 10) / 10).astype("float32")
    signs = np.where(negated < 0.5, -1, 1).astype("float32")
    return operations, levels, signs, are_bicubic(smooth, augmentation)


def are_bicubic(numbers, augmentation):
    """Whether to interpolate by the bicubic filter, from uniform numbers."""
    if augmentation.interpolation == "random":
        return numbers < 0.5
    return np.full(numbers.shape, augmentation.interpolation == "bicubic")
