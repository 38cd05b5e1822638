"""Random erasing (Zhong et al., 2020) as the authors train: noise, not a colour."""

import math

from keras_t2t.optional_imports import import_tensorflow
from keras_t2t.preprocessing import MEAN, STD

tf = import_tensorflow()

AREA = (0.02, 1 / 3)  # as a fraction of the image's
ASPECT = (0.3, 1 / 0.3)  # height / width, uniform in its logarithm
TRIES = 10


def random_erasing(image, seed, probability):
    """Replace one rectangle by noise that is N(0, 1) once the image is normalised.

    Args:
        image: (height, width, 3) in 0..255.
        seed: (2,) integers; the result is a function of it.
        probability: of erasing anything.

    Returns:
        (height, width, 3) float32; the noise is neither rounded nor cut to 0..255.
    """
    image = tf.cast(image, "float32")
    choice_seed, box_seed, noise_seed = tf.unstack(tf.random.split(seed, 3))

    def erased():
        top, left, height, width = draw_box(*image.shape[:2], box_seed)
        noise = tf.random.stateless_normal((height, width, 3), noise_seed)
        noise = 255 * (tf.constant(MEAN) + tf.constant(STD) * noise)
        rows = image[top : top + height]
        rows = tf.concat([rows[:, :left], noise, rows[:, left + width :]], axis=1)
        return tf.concat([image[:top], rows, image[top + height :]], axis=0)

    draw = tf.random.stateless_uniform((), choice_seed)
    result = tf.cond(draw < probability, erased, lambda: image)
    return tf.ensure_shape(result, image.shape)


def draw_box(height, width, seed):
    """Draw a rectangle that is lower and narrower than the image.

    Area and aspect ratio are drawn together up to 10 times, until it fits.

    Args:
        height, width: the image's size in pixels.
        seed: (2,) integers.

    Returns:
        (top, left, height, width), int32 scalars; of no pixels if none fits.
    """
    shape_seed, place_seed = tf.unstack(tf.random.split(seed, 2))
    area, aspect = tf.unstack(tf.random.stateless_uniform((2, TRIES), shape_seed))
    area = height * width * (AREA[0] + (AREA[1] - AREA[0]) * area)
    low, high = map(math.log, ASPECT)
    aspect = tf.exp(low + (high - low) * aspect)
    heights = tf.cast(tf.round(tf.sqrt(area * aspect)), "int32")
    widths = tf.cast(tf.round(tf.sqrt(area / aspect)), "int32")
    fits = (heights < height) & (widths < width)
    first = tf.argmax(fits)
    box = tf.where(fits[first], tf.stack([heights[first], widths[first]]), 0)
    room = tf.constant([height, width]) - box
    place = tf.random.stateless_uniform((2,), place_seed)
    place = tf.cast(place * tf.cast(room + 1, "float32"), "int32")
    return (*tf.unstack(place), *tf.unstack(box))
