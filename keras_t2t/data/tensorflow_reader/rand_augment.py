"""RandAugment as the authors train: timm's 15 operations, which are Pillow's.

Cubuk et al., "RandAugment", 2020, in the variant `rand-m9-mstd0.5-inc1`.
"""

import functools

from keras_t2t.data.tensorflow_reader import (
    affine,
    keras_cv_operations,
    point_operations,
)
from keras_t2t.optional_imports import import_tensorflow

tf = import_tensorflow()


def _integer(number):
    return tf.cast(number, "int32")  # towards 0, as Python's int()


# Each takes (image, level, sign, method): the level is magnitude / 10, in 0..1; the
# sign is 1 or -1; the method is "bilinear" or "bicubic".
OPERATIONS = {
    "auto_contrast": lambda image, level, sign, method: (
        keras_cv_operations.auto_contrast(image)
    ),
    "equalize": lambda image, level, sign, method: point_operations.equalize(image),
    "invert": lambda image, level, sign, method: point_operations.invert(image),
    "rotate": lambda image, level, sign, method: affine.rotate(
        image, sign * 30 * level, method
    ),
    "posterize": lambda image, level, sign, method: point_operations.posterize(
        image, 4 - _integer(4 * level)
    ),
    "solarize": lambda image, level, sign, method: keras_cv_operations.solarize(
        image, 256 - _integer(256 * level)
    ),
    "solarize_add": lambda image, level, sign, method: point_operations.solarize_add(
        image, _integer(110 * level)
    ),
    "color": lambda image, level, sign, method: keras_cv_operations.color(
        image, 1 + sign * 0.9 * level
    ),
    "contrast": lambda image, level, sign, method: point_operations.contrast(
        image, 1 + sign * 0.9 * level
    ),
    "brightness": lambda image, level, sign, method: point_operations.brightness(
        image, 1 + sign * 0.9 * level
    ),
    "sharpness": lambda image, level, sign, method: keras_cv_operations.sharpness(
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
}


def rand_augment(image, seed, augmentation):
    """Apply operations drawn with replacement, each with its own magnitude.

    Args:
        image: (height, width, 3) uint8, its shape known when traced.
        seed: (2,) integers; the result is a function of it.
        augmentation: an `Augmentation`.

    Returns:
        (height, width, 3) uint8.
    """
    draws = draw(seed, augmentation)
    for number in range(augmentation.num_operations):
        image = apply(image, *(column[number] for column in draws))
    return image


def draw(seed, augmentation):
    """Draw what `rand_augment` does to one image.

    Returns:
        Four tensors (num_operations,): the operations' numbers, int32, where the one
        past the last means none; levels 0..1; signs 1 or -1; interpolation methods.
    """
    number = augmentation.num_operations
    uniform_seed, normal_seed = tf.unstack(tf.random.split(seed, 2))
    which, applied, negated, smooth = tf.unstack(
        tf.random.stateless_uniform((4, number), uniform_seed)
    )
    operations = tf.where(
        applied < augmentation.operation_probability,
        _integer(which * len(OPERATIONS)),
        len(OPERATIONS),
    )
    spread = tf.random.stateless_normal((number,), normal_seed)
    magnitudes = augmentation.magnitude + augmentation.magnitude_std * spread
    levels = tf.clip_by_value(magnitudes, 0, 10) / 10
    signs = tf.where(negated < 0.5, -1.0, 1.0)
    if augmentation.interpolation == "random":
        methods = tf.where(smooth < 0.5, "bicubic", "bilinear")
    else:
        methods = tf.fill((number,), augmentation.interpolation)
    return operations, levels, signs, methods


def apply(image, operation, level, sign, method):
    """Run the operation of this number, and no other; past the last, none."""
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
    """Each operation, and none, traced once per image shape."""
    arguments = [
        tf.TensorSpec(shape, "uint8"),
        tf.TensorSpec((), "float32"),
        tf.TensorSpec((), "float32"),
        tf.TensorSpec((), "string"),
    ]
    return [
        tf.function(function).get_concrete_function(*arguments)
        for function in [*OPERATIONS.values(), _none]
    ]


def _none(image, level, sign, method):
    return tf.identity(image)
