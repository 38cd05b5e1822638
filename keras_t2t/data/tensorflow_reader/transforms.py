"""One encoded image to the pixels that a model sees, in training and in evaluation."""

import math

import numpy as np

from keras_t2t._ground.optional_imports import import_tensorflow
from keras_t2t.data.augmentation import AUGMENTATIONS
from keras_t2t.data.draws.crop import crop_window, padded_corner
from keras_t2t.data.tensorflow_reader.decode import decode, decode_window
from keras_t2t.data.tensorflow_reader.resize import (
    height_and_width,
    resize_and_cut,
)

tf = import_tensorflow()


def training_image(
    encoded,
    image_size,
    draws,
    augmentation=AUGMENTATIONS["light"],
    orientation=None,
):
    """Random crop, horizontal flip and the operations that were drawn.

    Args:
        encoded: scalar string, an image file's bytes.
        image_size: height and width of the result, in pixels.
        draws: `ImageDraws` of tensors.
        augmentation: the `Augmentation` that they were drawn from; what it does to
            batches is not done here.
        orientation: int64 scalar, EXIF's, by which it is turned; None: it is not.

    Returns:
        (image_size, image_size, 3) uint8.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no image.
    """
    arguments = encoded, image_size, draws, augmentation, orientation
    if augmentation.crop_scale:
        image = _random_crop(*arguments)
    elif augmentation.crop_padding:
        image = _padded_crop(*arguments)
    else:
        image = evaluation_image(encoded, image_size, orientation=orientation)
    if augmentation.flip_probability:
        image = tf.cond(
            draws.flipped, lambda: tf.reverse(image, axis=[1]), lambda: image
        )
    if augmentation.operations_per_image:
        # Loads KerasCV.
        from keras_t2t.data.tensorflow_reader.operations import operated

        image = operated(image, draws, augmentation.operations_per_image)
    return image


def _random_crop(encoded, image_size, draws, augmentation, orientation):
    def choose(height, width, numbers):
        scale, ratio = augmentation.crop_scale, augmentation.crop_ratio
        return np.array(crop_window(height, width, numbers, scale, ratio), "int32")

    def window(height, width):
        arguments = [height, width, draws.crop]
        window = tf.numpy_function(choose, arguments, tf.int32, stateful=False)
        return tf.unstack(tf.ensure_shape(window, (4,)))

    image = decode_window(encoded, window, orientation)
    size = tf.cast(tf.shape(image)[:2], "float32")
    return _interpolated(
        lambda method: resize_and_cut(
            image, image_size, tf.unstack(image_size / size), method=method
        ),
        draws.bicubic,
    )


def _padded_crop(encoded, image_size, draws, augmentation, orientation):
    image = decode(encoded, orientation)
    resized, scale = _covering(image, [image_size, image_size])
    padding = int(image_size * augmentation.crop_padding)

    def choose(resized, numbers):
        return np.array(padded_corner(*resized, image_size, padding, numbers), "int32")

    # Outside the image `resize_and_cut` gives black, so that nothing need be padded.
    offset = tf.numpy_function(choose, [resized, draws.crop], tf.int32, stateful=False)
    offset = tf.unstack(tf.cast(tf.ensure_shape(offset, (2,)), "float32"))
    return _interpolated(
        lambda method: resize_and_cut(image, image_size, scale, offset, method),
        draws.bicubic,
    )


def _interpolated(resize, bicubic):
    """What `resize` gives for one of two methods."""
    return tf.cond(bicubic, lambda: resize("bicubic"), lambda: resize("bilinear"))


def _covering(image, least):
    """Height and width (2,) int64 of the smallest size of the image's ratio that is
    `least` or more, and the list of both over those of the image."""
    size = tf.shape(image, "int64")[:2]
    # The side that has further to go is resized to its least, the other in proportion.
    upright = least[0] * size[1] >= least[1] * size[0]
    resized = tf.where(upright, least[0] * size // size[0], least[1] * size // size[1])
    scale = tf.cast(resized, "float32") / tf.cast(size, "float32")
    return resized, tf.unstack(scale)


def evaluation_image(encoded, image_size, crop=0.9, method="bicubic", orientation=None):
    """Resize until image_size / crop is covered, then cut the centre, as Pillow would.

    Args:
        encoded: scalar string, an image file's bytes.
        image_size: side of the square result, or (height, width), in pixels.
        crop: float in (0, 1], side of the result over that of the resized image.
        method: `"bicubic"` or `"bilinear"`.
        orientation: as of `training_image`.

    Returns:
        (height, width, 3) uint8.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no image.
    """
    image = decode(encoded, orientation)
    sides = height_and_width(image_size)
    resized, scale = _covering(image, [math.floor(side / crop) for side in sides])
    # torchvision rounds the offset, halves to even.
    offset = tf.round(tf.cast(resized - sides, "float64") / 2)
    return resize_and_cut(image, sides, scale, tf.unstack(offset), method=method)
