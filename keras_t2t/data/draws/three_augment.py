"""The draws of 3-Augment and of colour jitter (Touvron et al., DeiT III, 2022)."""

import numpy as np

from keras_t2t.data.draws.rand_augment import NUMBERS_OF

ONE_OF = [NUMBERS_OF[name] for name in ("grey", "solarize", "blur")]
JITTERED = [NUMBERS_OF[name] for name in ("brightness", "contrast", "color")]
SOLARIZE_FROM_128 = 0.5  # a level
# A level of 1 changes a factor by this, see `OPERATIONS` of the readers.
CHANGE = 0.9


def draw_three_augment(random, images):
    """One of grey, solarised above 128, and blurred by 0.1 to 2 pixels.

    Args:
        random: `numpy.random.Generator`.
        images: int.

    Returns:
        Four arrays (images, 1), as of `draw_operations`.
    """
    operations = random.choice(ONE_OF, (images, 1)).astype("int32")
    levels = random.random((images, 1))
    levels[operations == NUMBERS_OF["solarize"]] = SOLARIZE_FROM_128
    return _columns(operations, levels, np.ones((images, 1)))


def draw_color_jitter(random, images, jitter):
    """Brightness, contrast and saturation times 1 - jitter to 1 + jitter, in any order.

    Args:
        random: `numpy.random.Generator`.
        images: int.
        jitter: float in 0..1.

    Returns:
        Four arrays (images, 3), as of `draw_operations`.
    """
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
