"""Rotation, shear and translation as Pillow's: coordinates, edges, both filters.

TensorFlow's own projective transform has no bicubic filter.
"""

import numpy as np

from keras_t2t._ground.optional_imports import import_tensorflow
from keras_t2t.data.draws.rand_augment import FILL

tf = import_tensorflow()


def rotate(image, degrees, method):
    """Rotate counter-clockwise around the centre, as Pillow's `Image.rotate`.

    Args:
        image: (height, width, 3) uint8, its shape known when traced.
        degrees: scalar.
        method: scalar string, `"bilinear"` or `"bicubic"`.

    Returns:
        (height, width, 3) uint8; ImageNet's mean colour where the source ends.
    """
    height, width, _ = image.shape
    # From the centre, where the transform has its origin.
    x = np.arange(width, dtype="float32")[None, :] + 0.5 - width / 2
    y = np.arange(height, dtype="float32")[:, None] + 0.5 - height / 2
    radians = degrees * (np.pi / 180)
    cos, sin = tf.cos(radians), tf.sin(radians)
    source_x = cos * x - sin * y + width / 2
    source_y = sin * x + cos * y + height / 2
    result = tf.cond(
        method == "bicubic",
        lambda: _sample(image, source_x, source_y, _bicubic),
        lambda: _sample(image, source_x, source_y, _bilinear),
    )
    inside = (source_x >= 0) & (source_x < width)
    inside &= (source_y >= 0) & (source_y < height)
    return _filled(result, inside)


def shear_x(image, factor, method):
    """Take pixel (x, y) from (x + factor y, y); centres at halves. See `rotate`."""
    y = np.arange(image.shape[0], dtype="float32") + 0.5
    return _shift(image, factor * y, 1, method)


def shear_y(image, factor, method):
    """Take pixel (x, y) from (x, y + factor x); centres at halves. See `rotate`."""
    x = np.arange(image.shape[1], dtype="float32") + 0.5
    return _shift(image, factor * x, 0, method)


def translate_x(image, share, method):
    """Move left by a share of the width. See `rotate`."""
    height, width, _ = image.shape
    return _shift(image, tf.fill((height,), share * width), 1, method)


def translate_y(image, share, method):
    """Move up by a share of the height. See `rotate`."""
    height, width, _ = image.shape
    return _shift(image, tf.fill((width,), share * height), 0, method)


def _bilinear(part):
    return 1 - part, part


def _bicubic(part):
    # Keys's kernel with a = -1; Pillow resizes with a = -1/2.
    rest = 1 - part
    return (
        -part * rest**2,
        1 - (2 - part) * part**2,
        1 - (2 - rest) * rest**2,
        -rest * part**2,
    )


def _sample(image, x, y, filter):
    """The image (height, width, 3) at (x, y), both (height, width)."""
    height, width, _ = image.shape
    x, y = tf.reshape(x - 0.5, (-1, 1)), tf.reshape(y - 0.5, (-1, 1))
    left = tf.clip_by_value(tf.floor(x), -1, width - 1)
    top = tf.clip_by_value(tf.floor(y), -1, height - 1)
    weights_x, weights_y = filter(x - left), filter(y - top)
    taps = len(weights_x)

    # An entry holds the pixels side by side that one sum along x needs.
    source = image
    for _ in range(taps // 2):  # the edge, repeated
        source = tf.pad(source, [[1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    width += 1
    entries = tf.concat([source[:, tap : tap + width] for tap in range(taps)], axis=-1)
    entries = tf.reshape(entries, (-1, 3 * taps))
    first = tf.cast(top * width + left, "int32")[:, 0] + width + 1

    rows = [tf.gather(entries, first + tap * width) for tap in range(taps)]
    total = _weighted(weights_y, rows)
    columns = [total[:, 3 * tap : 3 * tap + 3] for tap in range(taps)]
    return tf.reshape(_weighted(weights_x, columns), image.shape)


def _shift(image, shifts, axis, method):
    """Shift each line along `axis`, by as many pixels; the lines lie on the other."""
    length = image.shape[axis]
    whole = tf.floor(shifts)
    part = tf.reshape(shifts - whole, (-1, 1, 1) if axis == 1 else (1, -1, 1))

    def sample(filter):
        weights = filter(part)
        taps = len(weights)
        steps = np.arange(length + taps - 1, dtype="int32") + 1 - taps // 2
        places = tf.cast(whole, "int32")[:, None] + steps
        places = tf.clip_by_value(places, 0, length - 1)  # the edge, repeated
        lines = np.arange(image.shape[1 - axis], dtype="int32")[:, None]
        if axis == 1:
            places += image.shape[1] * lines
        else:
            places = tf.transpose(image.shape[1] * places + lines)
        source = tf.gather(tf.reshape(image, (-1, 3)), places)
        source = tf.cast(source, "float32")
        if axis == 1:
            parts = [source[:, tap : tap + length] for tap in range(taps)]
        else:
            parts = [source[tap : tap + length] for tap in range(taps)]
        return _weighted(weights, parts)

    result = tf.cond(
        method == "bicubic", lambda: sample(_bicubic), lambda: sample(_bilinear)
    )
    centres = shifts[:, None] + np.arange(length, dtype="float32") + 0.5
    inside = (centres >= 0) & (centres < length)
    return _filled(result, inside if axis == 1 else tf.transpose(inside))


def _weighted(weights, parts):
    return sum(
        weight * tf.cast(part, "float32")
        for weight, part in zip(weights, parts, strict=True)
    )


def _filled(image, inside):
    """Pixels 0..255 where they are `inside` (height, width), else the fill colour."""
    # Pillow cuts decimals off.
    image = tf.cast(tf.clip_by_value(image, 0, 255), "uint8")
    return tf.where(inside[..., None], image, tf.constant(FILL, "uint8"))
