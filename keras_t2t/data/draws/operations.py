"""The draws of operations on colours and shapes.

RandAugment's, in the variant `rand-m9-mstd0.5-inc1` (Cubuk et al., 2020) with timm's 15
operations, which are Pillow's; 3-Augment's and colour jitter's (Touvron et al., DeiT
III, 2022).
"""

import numpy as np

from keras_t2t._ground.normalizations import IMAGENET_MEAN

# RandAugment's are before "none", 3-Augment's own after it.
NAMES = """
    auto_contrast equalize invert rotate posterize solarize solarize_add color contrast
    brightness sharpness shear_x shear_y translate_x translate_y none grey blur
""".split()
NUMBERS_OF = {name: number for number, name in enumerate(NAMES)}
NONE = NUMBERS_OF["none"]
ONE_OF = [NUMBERS_OF[name] for name in ("grey", "solarize", "blur")]
JITTERED = [NUMBERS_OF[name] for name in ("brightness", "contrast", "color")]
SOLARIZE_FROM_128 = 0.5  # a level
# By how much a level of 1 changes the factor of an enhancement.
CHANGE = 0.9
# The colour of what a geometric operation takes from outside the image.
FILL = tuple(round(255 * mean) for mean in IMAGENET_MEAN)


def draw_operations(random, images, augmentation):
    """Operations with replacement, each with its own magnitude: four arrays (images,
    num_operations).

    They are the operations' numbers, int32, where `NONE` is none; levels, magnitude /
    10, float32 in 0..1; signs 1 or -1, float32; whether the bicubic filter is used.
    """
    shape = images, augmentation.num_operations
    which, applied, negated, smooth = random.random((4, *shape))
    magnitudes = augmentation.magnitude + (
        augmentation.magnitude_std * random.standard_normal(shape)
    )
    operations = np.where(
        applied < augmentation.operation_probability,
        (which * NONE).astype("int32"),
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


def draw_three_augment(random, images):
    """One of grey, solarised above 128, and blurred by 0.1 to 2 pixels, in columns like
    those of `draw_operations`."""
    operations = random.choice(ONE_OF, (images, 1)).astype("int32")
    levels = random.random((images, 1))
    levels[operations == NUMBERS_OF["solarize"]] = SOLARIZE_FROM_128
    return _columns(operations, levels, np.ones((images, 1)))


def draw_color_jitter(random, images, jitter):
    """Brightness, contrast and saturation times 1 - jitter to 1 + jitter, in any order,
    in columns like those of `draw_operations`."""
    operations = random.permuted(np.tile(JITTERED, (images, 1)), axis=1)
    changes = random.uniform(-jitter, jitter, (images, 3))
    return _columns(operations, abs(changes) / CHANGE, np.sign(changes))


def _columns(operations, levels, signs):
    return (
        operations.astype("int32"),
        levels.astype("float32"),
        signs.astype("float32"),
        np.zeros(operations.shape, bool),
    )
