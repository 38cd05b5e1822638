"""The operations on colours and shapes, RandAugment's and 3-Augment's: KerasCV's.

KerasCV's `augment_images` is called with what is drawn, not the layers, whose draws
cannot be repeated under parallel calls. Where it has no such operation, or does
something else by the name (its brightness adds, where Pillow's multiplies; its contrast
keeps a mean for each channel), it is a line of TensorFlow. Pixels are not those of the
other reader: nothing is rounded in between, borders blend with the fill colour, every
shape is bilinear, and where the brightest value is frequent, equalize is darker.
"""

import functools

import numpy as np

from keras_t2t._ground.optional_imports import (
    import_keras_cv,
    import_library,
    import_tensorflow,
)
from keras_t2t.data.draws.operations import CHANGE, FILL, NUMBERS_OF

tf = import_tensorflow()
layers = import_keras_cv().layers
Image, ImageFilter = import_library("PIL.Image"), import_library("PIL.ImageFilter")

# Their own draws are never made: the factors here have no effect.
COMMON = {"value_range": (0, 255), "dtype": "float32"}
AUTO_CONTRAST = layers.AutoContrast(**COMMON)
EQUALIZATION = layers.Equalization(**COMMON)
SOLARIZATION = layers.Solarization(**COMMON)
SHARPNESS = layers.RandomSharpness(factor=0.0, **COMMON)
COLOR = layers.RandomColorDegeneration(factor=0.0, dtype="float32")


def _apply(layer, image, transformations=None):
    return layer.augment_images(image[None], transformations=transformations)[0]


def _blur(image, radius):
    """Pillow's: 98 images of 3-Augment a second on a core, 58 with KerasCV's."""

    def blurred(pixels, radius):
        image = Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius.item()))
        return np.asarray(image, "float32")

    pixels = tf.cast(tf.round(image), "uint8")
    arguments = [pixels, radius]
    result = tf.numpy_function(blurred, arguments, tf.float32, stateful=False)
    return tf.ensure_shape(result, image.shape)


def _affine(image, x=(1, 0, 0), y=(0, 1, 0)):
    """Take pixel (x, y) from (a x + b y + c, d x + e y + f), centres at halves."""
    a, b, c, d, e, f = (tf.cast(value, "float32") for value in (*x, *y))
    # TensorFlow has the centres at whole numbers.
    c, f = c + (a + b - 1) / 2, f + (d + e - 1) / 2
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=(image - FILL)[None],
        transforms=tf.stack([a, b, c, d, e, f, 0.0, 0.0])[None],
        output_shape=image.shape[:2],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )
    return moved[0] + FILL


def _rotate(image, degrees):
    height, width, _ = image.shape
    x, y, angle = width / 2, height / 2, degrees * 0.017453292
    cos, sin = tf.cos(angle), tf.sin(angle)
    across, down = x - cos * x + sin * y, y - sin * x - cos * y
    return _affine(image, (cos, -sin, across), (sin, cos, down))


def _contrast(image, factor):
    mean = tf.reduce_mean(tf.image.rgb_to_grayscale(image))
    return mean + factor * (image - mean)


# Each takes (image, level, sign): float32 (height, width, 3) in 0..255, the shape known
# when traced; the level is magnitude / 10, in 0..1; the sign is 1 or -1.
OPERATIONS = {
    "auto_contrast": lambda image, level, sign: _apply(AUTO_CONTRAST, image),
    "equalize": lambda image, level, sign: _apply(EQUALIZATION, image),
    "invert": lambda image, level, sign: 255 - image,
    "rotate": lambda image, level, sign: _rotate(image, sign * 30 * level),
    "posterize": lambda image, level, sign: (
        image - image % 2.0 ** (4 + tf.floor(4 * level))
    ),
    "solarize": lambda image, level, sign: _apply(
        SOLARIZATION,
        image,
        {"thresholds": 256 - tf.floor(256 * level), "additions": 0.0},
    ),
    "solarize_add": lambda image, level, sign: tf.where(
        image < 128, image + tf.floor(110 * level), image
    ),
    "color": lambda image, level, sign: _apply(COLOR, image, -sign * CHANGE * level),
    "contrast": lambda image, level, sign: _contrast(image, 1 + sign * CHANGE * level),
    "brightness": lambda image, level, sign: image * (1 + sign * CHANGE * level),
    "sharpness": lambda image, level, sign: _apply(
        SHARPNESS, image, -sign * CHANGE * level
    ),
    "shear_x": lambda image, level, sign: _affine(image, x=(1, sign * 0.3 * level, 0)),
    "shear_y": lambda image, level, sign: _affine(image, y=(sign * 0.3 * level, 1, 0)),
    "translate_x": lambda image, level, sign: _affine(
        image, x=(1, 0, sign * 0.45 * level * image.shape[1])
    ),
    "translate_y": lambda image, level, sign: _affine(
        image, y=(0, 1, sign * 0.45 * level * image.shape[0])
    ),
    "none": lambda image, level, sign: tf.identity(image),
    "grey": lambda image, level, sign: _apply(COLOR, image, 1.0),
    "blur": lambda image, level, sign: _blur(image, 0.1 + 1.9 * level),
}


def operated(image, operations, levels, signs):
    """Apply the operations that were drawn, one after the other, to an image (height,
    width, 3) float32 in 0..255. All shapes are known when this is traced."""
    for drawn in zip(*map(tf.unstack, (operations, levels, signs)), strict=True):
        image = tf.clip_by_value(apply(image, *drawn), 0, 255)
    return image


def apply(image, operation, level, sign):
    """Run the operation of this number, and no other."""
    # tf.switch_case would merge all branches into the caller's graph, and visiting
    # the dead ones takes as long as an operation.
    [result] = tf.raw_ops.Case(
        branch_index=operation,
        input=[image, level, sign],
        Tout=[tf.float32],
        branches=_branches(*image.shape),
        output_shapes=[image.shape],
    )
    return tf.ensure_shape(result, image.shape)


@functools.cache
def _branches(*shape):
    """Each operation, traced once per image shape."""
    arguments = [tf.TensorSpec(one, "float32") for one in (shape, (), ())]
    return [
        tf.function(OPERATIONS[name]).get_concrete_function(*arguments)
        for name in NUMBERS_OF
    ]
