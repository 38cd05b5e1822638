"""Pillow's resize with antialias, of which only a window is computed."""

from keras_t2t._ground.optional_imports import import_tensorflow

tf = import_tensorflow()

EXTREME = 16  # height over width, from which on rows are left out
KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic"}


def resize_and_cut(image, image_size, scale, offset=(0.0, 0.0), method="bicubic"):
    """Resize an image and cut a window out of the result.

    Args:
        image: (height, width, 3) uint8.
        image_size: side of the square window, or its (height, width), in pixels.
        scale: resized over old size, (vertical, horizontal) float32 scalars.
        offset: where the window starts in the resized image, (top, left) in pixels.
        method: `"bilinear"` or `"bicubic"`.

    Returns:
        (window height, window width, 3) uint8, as Pillow computes it to 2 grey levels.
    """
    # Pillow resizes along the width, rounds to 0..255, then resizes along the height.
    # Without the rounding, pixels at hard edges differ by up to 10 grey levels.
    height, width = height_and_width(image_size)
    image, top = _rows_needed(image, height, scale[0], offset[0])
    columns = tf.transpose(image, (1, 0, 2))
    columns, left = _rows_needed(columns, width, scale[1], offset[1])
    columns = _resize_rows(columns, width, scale[1], left, method)
    rows = tf.transpose(columns, (1, 0, 2))
    return _resize_rows(rows, height, scale[0], top, method)


def height_and_width(image_size):
    """`(height, width)` of an image whose size is one number or both."""
    if isinstance(image_size, (tuple, list)):
        return tuple(image_size)
    return image_size, image_size


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
