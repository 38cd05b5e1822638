"""One encoded image to the pixels that a model sees, in training and in evaluation."""

import math

from keras_t2t.data.decode import decode, decode_window
from keras_t2t.data.optional_imports import import_tensorflow
from keras_t2t.data.random_resized_crop import random_resized_crop

tf = import_tensorflow()

CROP_FRACTION = 0.9


def training_image(encoded, image_size, seed):
    """Random resized crop and horizontal flip.

    Args:
        encoded: scalar string, an image file's bytes.
        image_size: height and width of the result, in pixels.
        seed: (2,) integers; the result is a function of it.

    Returns:
        (image_size, image_size, 3) uint8.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no image.
    """
    crop_seed, flip_seed = tf.unstack(tf.random.split(seed, 2))
    image = decode_window(
        encoded, lambda height, width: random_resized_crop(height, width, crop_seed)
    )
    # Evaluation's filter, as the authors train. It takes 2.5 times as long as plain
    # bilinear, which aliases; both outrun any model on the same cores.
    image = tf.image.resize(
        image, (image_size, image_size), method="bicubic", antialias=True
    )
    return tf.image.stateless_random_flip_left_right(_to_uint8(image), flip_seed)


def evaluation_image(encoded, image_size):
    """Resize the short side to image_size / 0.9, then cut the centre, as Pillow would.

    Args:
        encoded: scalar string, an image file's bytes.
        image_size: height and width of the result, in pixels.

    Returns:
        (image_size, image_size, 3) uint8.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no image.
    """
    image = decode(encoded)
    size = tf.shape(image)[:2]
    short_side = math.floor(image_size / CROP_FRACTION)
    resized = short_side * size // tf.reduce_min(size)
    # torchvision rounds the offset, halves to even.
    offset = tf.round(tf.cast(resized - image_size, "float32") / 2)
    scale = tf.cast(resized, "float32") / tf.cast(size, "float32")
    return _resize_and_cut(image, image_size, scale, offset)


def _resize_and_cut(image, image_size, scale, offset):
    """Pillow's bicubic resize by `scale`, of which only the window is computed that
    starts at `offset`; both are (vertical, horizontal)."""
    height, width, _ = tf.unstack(tf.shape(image))
    # Pillow resizes along the width, rounds to 0..255, then resizes along the height.
    # Without the rounding, pixels at hard edges differ by up to 10 grey levels.
    image = tf.raw_ops.ScaleAndTranslate(
        images=tf.reshape(image, (height, 1, width, 3)),
        size=(1, image_size),
        scale=(1, scale[1]),
        translation=(0, -offset[1]),
        kernel_type="keyscubic",
        antialias=True,
    )
    image = tf.raw_ops.ScaleAndTranslate(
        images=tf.reshape(_to_uint8(image), (1, height, 1, image_size * 3)),
        size=(image_size, 1),
        scale=(scale[0], 1),
        translation=(-offset[0], 0),
        kernel_type="keyscubic",
        antialias=True,
    )
    return _to_uint8(tf.reshape(image, (image_size, image_size, 3)))


def _to_uint8(image):
    # Bicubic overshoots 0..255: saturate.
    return tf.saturate_cast(tf.round(image), "uint8")
