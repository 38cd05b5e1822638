"""The window of a random resized crop, as torchvision and timm draw it."""

import math

from keras_t2t.optional_imports import import_tensorflow

tf = import_tensorflow()

TRIES = 10


def random_resized_crop(height, width, seed, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3)):
    """Draw a window of random area and aspect ratio that lies inside an image.

    Area and ratio are drawn together up to 10 times, until the window fits; if it never
    does, it is the largest centred one whose ratio is within range.

    Args:
        height, width: the image's size in pixels, int32 scalars.
        seed: (2,) integers; the window is a function of it.
        scale: least and greatest area, as a fraction of the image's.
        ratio: least and greatest width / height; uniform in its logarithm.

    Returns:
        (top, left, height, width), int32 scalars.
    """
    shape_seed, place_seed = tf.unstack(tf.random.split(seed, 2))
    area_draws, ratio_draws = tf.unstack(
        tf.random.stateless_uniform((2, TRIES), shape_seed)
    )
    areas = tf.cast(height * width, "float32") * _between(scale, area_draws)
    ratios = tf.exp(_between([math.log(end) for end in ratio], ratio_draws))
    heights = _round(tf.sqrt(areas / ratios))
    widths = _round(tf.sqrt(areas * ratios))
    fits = (heights > 0) & (heights <= height) & (widths > 0) & (widths <= width)
    first = tf.argmax(fits)

    # A wide image is cut to the greatest ratio, a tall one to the least.
    widest = _round(tf.cast(height, "float32") * ratio[1])
    tallest = _round(tf.cast(width, "float32") / ratio[0])
    window_height = tf.where(fits[first], heights[first], tf.minimum(height, tallest))
    window_width = tf.where(fits[first], widths[first], tf.minimum(width, widest))

    room = tf.stack([height - window_height, width - window_width])
    place = tf.random.stateless_uniform((2,), place_seed)
    drawn = tf.cast(place * tf.cast(room + 1, "float32"), "int32")
    top, left = tf.unstack(tf.where(fits[first], drawn, room // 2))
    return top, left, window_height, window_width


def _between(ends, draws):
    return ends[0] + (ends[1] - ends[0]) * draws


def _round(number):
    return tf.cast(tf.round(number), "int32")
