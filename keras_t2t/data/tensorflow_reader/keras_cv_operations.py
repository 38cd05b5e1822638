"""KerasCV's operations that equal Pillow's, applied to values that the caller draws.

KerasCV gets no further releases: this file is all that uses it. Its `augment_images`
is called, not the layers themselves, whose draws cannot be repeated under parallel map
calls. Its Equalization, Posterization, RandomBrightness and RandomContrast compute
something else (see `point_operations`); its rotation, shear and translation have no
bicubic filter and blend the border with the fill colour.

All take and give (height, width, 3) uint8.
"""

from keras_t2t._ground.optional_imports import import_keras_cv, import_tensorflow

tf = import_tensorflow()
layers = import_keras_cv().layers

# Their own draws are never made: the factors here have no effect.
COMMON = {"value_range": (0, 255), "dtype": "float32"}
AUTO_CONTRAST = layers.AutoContrast(**COMMON)
SOLARIZATION = layers.Solarization(**COMMON)
SHARPNESS = layers.RandomSharpness(factor=0.0, **COMMON)
COLOR = layers.RandomColorDegeneration(factor=0.0, dtype="float32")


def auto_contrast(image):
    """`ImageOps.autocontrast`: stretch each channel to 0..255."""
    return _apply(AUTO_CONTRAST, image)


def solarize(image, threshold):
    """`ImageOps.solarize`: invert pixels of `threshold` or more."""
    threshold = tf.cast(threshold, "float32")
    return _apply(SOLARIZATION, image, {"thresholds": threshold, "additions": 0.0})


def color(image, factor):
    """`ImageEnhance.Color`: 0 is grey, 1 the image."""
    return _apply(COLOR, image, 1 - factor)


def sharpness(image, factor):
    """`ImageEnhance.Sharpness`: 0 is smoothed, 1 the image."""
    return _apply(SHARPNESS, image, 1 - factor)


def _apply(layer, image, transformations=None):
    images = tf.cast(image, "float32")[None]
    images = layer.augment_images(images, transformations=transformations)
    # Pillow cuts decimals off.
    return tf.cast(images[0], "uint8")
