"""Pillow's own operations: blur, and those of KerasCV where that is not installed.

The latter's names and pixels are those of `keras_cv_operations`.
"""

import numpy as np

from keras_t2t._ground.optional_imports import import_pillow, import_tensorflow

tf = import_tensorflow()
Image, ImageEnhance, ImageFilter, ImageOps = (
    import_pillow(name) for name in ("Image", "ImageEnhance", "ImageFilter", "ImageOps")
)


def auto_contrast(image):
    return _apply(ImageOps.autocontrast, image)


def solarize(image, threshold):
    return _apply(ImageOps.solarize, image, threshold)


def color(image, factor):
    return _apply(_color, image, factor)


def sharpness(image, factor):
    return _apply(_sharpness, image, factor)


def blur(image, radius):
    """`ImageFilter.GaussianBlur`, of three box filters; KerasCV's is another."""
    return _apply(_blur, image, radius)


def _blur(image, radius):
    return image.filter(ImageFilter.GaussianBlur(radius))


def _color(image, factor):
    return ImageEnhance.Color(image).enhance(factor)


def _sharpness(image, factor):
    return ImageEnhance.Sharpness(image).enhance(factor)


def _apply(operation, image, *arguments):
    def run(pixels, *arguments):
        values = [argument.item() for argument in arguments]
        return np.asarray(operation(Image.fromarray(pixels), *values))

    result = tf.numpy_function(run, [image, *arguments], tf.uint8, stateful=False)
    return tf.ensure_shape(result, image.shape)
