"""An encoded image to the pixels that a model sees, in the graph of a SavedModel: as
Pillow computes them, to 2 grey levels (of JPEGs 6)."""

import math

from keras_t2t._ground.optional_imports import import_tensorflow
from keras_t2t.export.graph_header import check_header, orientation_of, turned

tf = import_tensorflow()

EXTREME = 16  # height over width, from which on rows are left out
KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic"}


def evaluation_image(encoded, size, crop=0.9, method="bicubic", exif_orientation=False):
    """Decode, resize until size / crop is covered, then cut the centre: a uint8 tensor
    (height, width, 3) of this `size`, as Pillow computes it to 2 grey levels."""
    image = decode(encoded, exif_orientation)
    least = [math.floor(side / crop) for side in size]
    whole = tf.shape(image, "int64")[:2]
    # The side that has further to go is resized to its least, the other in proportion.
    upright = least[0] * whole[1] >= least[1] * whole[0]
    resized = tf.where(
        upright, least[0] * whole // whole[0], least[1] * whole // whole[1]
    )
    scale = tf.unstack(tf.cast(resized, "float32") / tf.cast(whole, "float32"))
    # torchvision rounds the offset, halves to even.
    offset = tf.unstack(tf.round(tf.cast(resized - size, "float64") / 2))
    # Pillow resizes along the width, rounds to 0..255, then resizes along the height.
    # Without the rounding, pixels at hard edges differ by up to 10 grey levels.
    height, width = size
    image, top = _rows_needed(image, height, scale[0], offset[0])
    columns = tf.transpose(image, (1, 0, 2))
    columns, left = _rows_needed(columns, width, scale[1], offset[1])
    columns = _resize_rows(columns, width, scale[1], left, method)
    rows = tf.transpose(columns, (1, 0, 2))
    return _resize_rows(rows, height, scale[0], top, method)


def decode(encoded, exif_orientation=False):
    """Decode a whole image to (height, width, 3) uint8, red-green-blue.

    Its bytes, a scalar string, are a JPEG (colour, grey or CMYK), PNG (also with
    palette, alpha or 16 bits), GIF (its first frame), still WebP, or BMP without colour
    palette; of at most 178,956,970 pixels. The format is told by content; all else
    raises a tf.errors.InvalidArgumentError.
    """
    encoded = check_header(encoded)
    image = tf.cond(
        tf.io.is_jpeg(encoded),
        # Pillow's inverse cosine transform.
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    image = tf.ensure_shape(image, (None, None, 3))
    if exif_orientation:
        image = turned(image, orientation_of(encoded))
    return image


def _rows_needed(image, height, scale, offset):
    """The rows of a very tall image that the window touches, and where it starts in
    them, resized. Other images keep all rows, and their pixels to the last bit.

    Without it a column of a million pixels would be resized to a million rows.
    """
    rows, columns = tf.unstack(tf.cast(tf.shape(image)[:2], "float64"))
    scale, offset = tf.cast(scale, "float64"), tf.cast(offset, "float64")
    support = tf.math.ceil(2 * tf.maximum(1 / scale, 1)) + 1  # of a cubic kernel
    tall = rows > EXTREME * columns
    start = tf.where(tall, tf.floor(offset / scale) - support, 0)
    end = tf.where(tall, tf.math.ceil((offset + height) / scale) + support, rows)
    start = tf.clip_by_value(start, 0, rows - 1)
    image = image[tf.cast(start, "int32") : tf.cast(end, "int32")]
    return image, tf.cast(offset - start * scale, "float32")


def _resize_rows(image, length, scale, offset, method):
    """Resize along the first axis, the fast one: it adds up whole rows."""
    rows, columns, _ = tf.unstack(tf.shape(image))
    image = tf.raw_ops.ScaleAndTranslate(
        images=tf.reshape(image, (1, rows, 1, 3 * columns)),
        size=(length, 1),
        scale=(scale, 1),
        translation=(-offset, 0),
        kernel_type=KERNELS[method],
        antialias=True,
    )
    # Bicubic overshoots 0..255: saturate.
    image = tf.saturate_cast(tf.round(image), "uint8")
    return tf.reshape(image, (length, columns, 3))
