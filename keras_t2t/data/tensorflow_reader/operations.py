"""The operations on colours and shapes, RandAugment's and 3-Augment's, all Pillow's."""

import functools
import importlib.util

from keras_t2t._ground.optional_imports import import_tensorflow
from keras_t2t.data.draws.rand_augment import NUMBERS_OF
from keras_t2t.data.tensorflow_reader import affine, pillow_operations, point_operations

tf = import_tensorflow()

if importlib.util.find_spec("keras_cv"):
    from keras_t2t.data.tensorflow_reader import (
        keras_cv_operations as colour_operations,
    )
else:
    colour_operations = pillow_operations  # type: ignore[misc]


def _integer(number):
    return tf.cast(number, "int32")  # towards 0, as Python's int()


# Each takes (image, level, sign, method): the level is magnitude / 10, in 0..1; the
# sign is 1 or -1; the method is "bilinear" or "bicubic".
OPERATIONS = {
    "auto_contrast": lambda image, level, sign, method: colour_operations.auto_contrast(
        image
    ),
    "equalize": lambda image, level, sign, method: point_operations.equalize(image),
    "invert": lambda image, level, sign, method: point_operations.invert(image),
    "rotate": lambda image, level, sign, method: affine.rotate(
        image, sign * 30 * level, method
    ),
    "posterize": lambda image, level, sign, method: point_operations.posterize(
        image, 4 - _integer(4 * level)
    ),
    "solarize": lambda image, level, sign, method: colour_operations.solarize(
        image, 256 - _integer(256 * level)
    ),
    "solarize_add": lambda image, level, sign, method: point_operations.solarize_add(
        image, _integer(110 * level)
    ),
    "color": lambda image, level, sign, method: colour_operations.color(
        image, 1 + sign * 0.9 * level
    ),
    "contrast": lambda image, level, sign, method: point_operations.contrast(
        image, 1 + sign * 0.9 * level
    ),
    "brightness": lambda image, level, sign, method: point_operations.brightness(
        image, 1 + sign * 0.9 * level
    ),
    "sharpness": lambda image, level, sign, method: colour_operations.sharpness(
        image, 1 + sign * 0.9 * level
    ),
    "shear_x": lambda image, level, sign, method: affine.shear_x(
        image, sign * 0.3 * level, method
    ),
    "shear_y": lambda image, level, sign, method: affine.shear_y(
        image, sign * 0.3 * level, method
    ),
    "translate_x": lambda image, level, sign, method: affine.translate_x(
        image, sign * 0.45 * level, method
    ),
    "translate_y": lambda image, level, sign, method: affine.translate_y(
        image, sign * 0.45 * level, method
    ),
    "none": lambda image, level, sign, method: tf.identity(image),
    "grey": lambda image, level, sign, method: point_operations.grey(image),
    "blur": lambda image, level, sign, method: pillow_operations.blur(
        image, 0.1 + 1.9 * level
    ),
}


def operated(image, draws, number):
    """Apply the operations that were drawn, one after the other.

    Args:
        image: (height, width, 3) uint8, its shape known when traced.
        draws: `ImageDraws` of tensors.
        number: int, of operations.

    Returns:
        (height, width, 3) uint8.
    """
    methods = tf.where(draws.operations_bicubic, "bicubic", "bilinear")
    columns = draws.operations, draws.levels, draws.signs, methods
    for i in range(number):
        image = apply(image, *(column[i] for column in columns))
    return image


def apply(image, operation, level, sign, method):
    """Run the operation of this number, and no other."""
    # tf.switch_case would merge all branches into the caller's graph, and visiting
    # the dead ones takes as long as an operation.
    [result] = tf.raw_ops.Case(
        branch_index=operation,
        input=[image, level, sign, method],
        Tout=[tf.uint8],
        branches=_branches(*image.shape),
        output_shapes=[image.shape],
    )
    return tf.ensure_shape(result, image.shape)


@functools.cache
def _branches(*shape):
    """Each operation, traced once per image shape."""
    arguments = [
        tf.TensorSpec(shape, "uint8"),
        tf.TensorSpec((), "float32"),
        tf.TensorSpec((), "float32"),
        tf.TensorSpec((), "string"),
    ]
    return [
        tf.function(function).get_concrete_function(*arguments)
        for function in map(OPERATIONS.get, NUMBERS_OF)
    ]
