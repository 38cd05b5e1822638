"""One encoded image to the pixels that a model sees, in training and in evaluation."""

import math

from keras_t2t.data.augmentation import AUGMENTATIONS
from keras_t2t.data.decode import decode, decode_window
from keras_t2t.data.optional_imports import import_tensorflow
from keras_t2t.data.random_resized_crop import random_resized_crop
from keras_t2t.data.resize import height_and_width, resize_and_cut

tf = import_tensorflow()

CROP_FRACTION = 0.9


def training_image(encoded, image_size, seed, augmentation=AUGMENTATIONS["light"]):
    """Random resized crop, horizontal flip and RandAugment.

    Args:
        encoded: scalar string, an image file's bytes.
        image_size: height and width of the result, in pixels.
        seed: (2,) integers; the result is a function of it.
        augmentation: an `Augmentation`; what it does to batches is not done here.

    Returns:
        (image_size, image_size, 3) uint8.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no image.
    """
    crop_seed, flip_seed, filter_seed, rand_augment_seed = tf.unstack(
        tf.random.split(seed, 4)
    )
    if augmentation.crop_scale:
        image = _random_crop(encoded, image_size, crop_seed, filter_seed, augmentation)
    else:
        image = evaluation_image(encoded, image_size)
    if augmentation.flip_probability:
        flipped = tf.random.stateless_uniform((), flip_seed)
        image = tf.cond(
            flipped < augmentation.flip_probability,
            lambda: tf.reverse(image, axis=[1]),
            lambda: image,
        )
    if augmentation.num_operations:
        # Loads KerasCV.
        from keras_t2t.data.rand_augment import rand_augment

        image = rand_augment(image, rand_augment_seed, augmentation)
    return image


def _random_crop(encoded, image_size, crop_seed, filter_seed, augmentation):
    image = decode_window(
        encoded,
        lambda height, width: random_resized_crop(
            height, width, crop_seed, augmentation.crop_scale, augmentation.crop_ratio
        ),
    )
    size = tf.cast(tf.shape(image)[:2], "float32")

    def resize(method):
        return resize_and_cut(
            image, image_size, tf.unstack(image_size / size), method=method
        )

    if augmentation.interpolation != "random":
        return resize(augmentation.interpolation)
    return tf.cond(
        tf.random.stateless_uniform((), filter_seed) < 0.5,
        lambda: resize("bicubic"),
        lambda: resize("bilinear"),
    )


def evaluation_image(encoded, image_size, crop=CROP_FRACTION, method="bicubic"):
    """Resize until image_size / crop is covered, then cut the centre, as Pillow would.

    Args:
        encoded: scalar string, an image file's bytes.
        image_size: side of the square result, or (height, width), in pixels.
        crop: float in (0, 1], side of the result over that of the resized image.
        method: `"bicubic"` or `"bilinear"`.

    Returns:
        (height, width, 3) uint8.

    Raises:
        tf.errors.InvalidArgumentError: the bytes are no image.
    """
    image = decode(encoded)
    sides = height_and_width(image_size)
    size = tf.shape(image)[:2]
    least = tf.constant([math.floor(side / crop) for side in sides])
    # The side that has further to go is resized to its least, the other in proportion.
    upright = least[0] * size[1] >= least[1] * size[0]
    resized = tf.where(upright, least[0] * size // size[0], least[1] * size // size[1])
    # torchvision rounds the offset, halves to even.
    offset = tf.round(tf.cast(resized - sides, "float32") / 2)
    scale = tf.cast(resized, "float32") / tf.cast(size, "float32")
    return resize_and_cut(
        image, sides, tf.unstack(scale), tf.unstack(offset), method=method
    )
