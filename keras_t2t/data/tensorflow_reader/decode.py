"""Encoded bytes to pixels; the format is told by content, never by a file's name."""

from keras_t2t._ground.optional_imports import import_tensorflow
from keras_t2t.data.tensorflow_reader.header import check_header
from keras_t2t.data.tensorflow_reader.orientation import (
    seen_size,
    stored_window,
    turned,
)

tf = import_tensorflow()

# Pillow's inverse cosine transform. TensorFlow's default is coarser (10 grey levels
# off) and was no faster when measured.
JPEG_OPTIONS = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}


def decode(encoded, orientation=None):
    """Decode a whole image.

    Args:
        encoded: scalar string, a JPEG (colour, grey or CMYK), PNG (also with palette,
            alpha or 16 bits), GIF (its first frame), still WebP, or BMP without
            colour palette; of at most 178,956,970 pixels.
        orientation: int64 scalar, EXIF's, by which it is turned; None: it is not.

    Returns:
        (height, width, 3) uint8, red-green-blue.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are none of these.
    """
    encoded = check_header(encoded)
    image = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, **JPEG_OPTIONS),
        lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    image = tf.ensure_shape(image, (None, None, 3))
    if orientation is not None:
        image = turned(image, orientation)
    return tf.ensure_shape(image, (None, None, 3))


def decode_window(encoded, choose_window, orientation=None):
    """Decode one window of an image; of a JPEG, only the blocks that it touches.

    Args:
        encoded: scalar string, as for `decode`.
        choose_window: maps the image's (height, width), int32 scalars, to the
            window's (top, left, height, width).
        orientation: as for `decode`; height, width and window are of the turned image.

    Returns:
        (window height, window width, 3) uint8, red-green-blue.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no image.
    """

    def jpeg_window():
        checked = check_header(encoded)
        height, width, _ = tf.unstack(tf.io.extract_jpeg_shape(checked), num=3)
        if orientation is None:
            window = tf.stack(choose_window(height, width))
            return tf.io.decode_and_crop_jpeg(encoded, window, **JPEG_OPTIONS)
        seen = seen_size(height, width, orientation)
        window = stored_window(choose_window(*seen), *seen, orientation)
        image = tf.io.decode_and_crop_jpeg(encoded, window, **JPEG_OPTIONS)
        return turned(image, orientation)

    def any_window():
        image = decode(encoded, orientation)
        height, width, _ = tf.unstack(tf.shape(image))
        return tf.image.crop_to_bounding_box(image, *choose_window(height, width))

    return tf.cond(tf.io.is_jpeg(encoded), jpeg_window, any_window)
