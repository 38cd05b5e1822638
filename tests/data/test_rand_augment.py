"""RandAugment's operations equal Pillow's; what is drawn has timm's distribution."""

import math

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from keras_t2t.data.augmentation import Augmentation
from keras_t2t.data.draws.image_draws import ImageDraws, image_draws
from keras_t2t.data.draws.rand_augment import FILL, NUMBERS_OF, draw_operations
from keras_t2t.data.draws.rand_augment import OPERATIONS as NAMES
from keras_t2t.data.grain_reader import operations
from keras_t2t.data.tensorflow_reader import keras_cv_operations, pillow_operations
from keras_t2t.data.tensorflow_reader.operations import (
    OPERATIONS,
    apply,
    operated,
    tf,
)

PILLOW_METHODS = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def affine(image, matrix, method):
    method = PILLOW_METHODS[method]
    return image.transform(image.size, Image.AFFINE, matrix, method, fillcolor=FILL)


def posterize(image, bits):
    # Today's Pillow refuses 0 bits; the authors' made the image black.
    return ImageOps.posterize(image, bits) if bits else image.point(lambda value: 0)


def solarize_add(image, amount):
    return image.point(lambda value: value + amount if value < 128 else value)


# What timm does, as (image, magnitude 0..10, sign, method).
EXPECTED = {
    "auto_contrast": lambda i, m, s, method: ImageOps.autocontrast(i),
    "equalize": lambda i, m, s, method: ImageOps.equalize(i),
    "invert": lambda i, m, s, method: ImageOps.invert(i),
    "rotate": lambda i, m, s, method: i.rotate(
        s * 30 * m / 10, PILLOW_METHODS[method], fillcolor=FILL
    ),
    "posterize": lambda i, m, s, method: posterize(i, 4 - int(4 * m / 10)),
    "solarize": lambda i, m, s, method: ImageOps.solarize(i, 256 - int(256 * m / 10)),
    "solarize_add": lambda i, m, s, method: solarize_add(i, int(110 * m / 10)),
    "color": lambda i, m, s, method: ImageEnhance.Color(i).enhance(1 + s * 0.09 * m),
    "contrast": lambda i, m, s, method: ImageEnhance.Contrast(i).enhance(
        1 + s * 0.09 * m
    ),
    "brightness": lambda i, m, s, method: ImageEnhance.Brightness(i).enhance(
        1 + s * 0.09 * m
    ),
    "sharpness": lambda i, m, s, method: ImageEnhance.Sharpness(i).enhance(
        1 + s * 0.09 * m
    ),
    "shear_x": lambda i, m, s, method: affine(i, (1, s * 0.03 * m, 0, 0, 1, 0), method),
    "shear_y": lambda i, m, s, method: affine(i, (1, 0, 0, s * 0.03 * m, 1, 0), method),
    "translate_x": lambda i, m, s, method: affine(
        i, (1, 0, s * 0.045 * m * i.width, 0, 1, 0), method
    ),
    "translate_y": lambda i, m, s, method: affine(
        i, (1, 0, 0, 0, 1, s * 0.045 * m * i.height), method
    ),
}

# Those that resample.
GEOMETRIC = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


@pytest.fixture(scope="module")
def images(photographs):
    """Photographs, and what breaks histograms: few values, one value, a small image."""
    china, flower = photographs
    return [
        china[100:196, 200:296],
        flower[:96, 60:156],
        china[::5, ::7],  # not square
        np.where(flower[:64, 300:364] > 60, 255, flower[:64, 300:364]),  # blown out
        np.full((8, 9, 3), (0, 128, 255), "uint8"),
        china[30:46, 40:56],
    ]


def test_every_operation_is_compared():
    assert tuple(EXPECTED) == NAMES and len(NAMES) == 15
    assert set(OPERATIONS) == set(operations.OPERATIONS) == set(NUMBERS_OF)
    assert tuple(NUMBERS_OF)[:15] == NAMES


@pytest.mark.parametrize(
    ("name", "method"),
    [(name, "bilinear") for name in EXPECTED]
    + [(name, "bicubic") for name in GEOMETRIC],
)
def test_operation_equals_pillow(images, name, method):
    for image in images:
        for magnitude in (0.0, 3.7, 8.63, 9.31, 10.0):
            for sign in (-1, 1):
                arguments = magnitude / 10, float(sign), method
                result = OPERATIONS[name](
                    tf.constant(image), *map(tf.constant, arguments)
                )
                expected = EXPECTED[name](
                    Image.fromarray(image), magnitude, sign, method
                )
                assert result.dtype == tf.uint8 and result.shape == image.shape
                difference = np.abs(result.numpy().astype(int) - np.asarray(expected))
                assert difference.max() <= 2, (image.shape, magnitude, sign)


@pytest.mark.parametrize("name", EXPECTED)
def test_operation_of_the_other_reader_is_pillows(images, name):
    for filter in PILLOW_METHODS.values() if name in GEOMETRIC else [Image.BICUBIC]:
        method = {Image.BICUBIC: "bicubic", Image.BILINEAR: "bilinear"}[filter]
        for magnitude, sign in ((0.0, 1), (3.7, -1), (8.63, 1), (10.0, -1)):
            image = Image.fromarray(images[0])
            result = operations.OPERATIONS[name](
                image, magnitude / 10, float(sign), filter
            )
            expected = EXPECTED[name](image, magnitude, sign, method)
            # One level: the same number, multiplied in another order.
            difference = np.asarray(result).astype(int) - np.asarray(expected)
            assert np.abs(difference).max() <= 1


def test_without_keras_cv_the_same_pixels(images):
    arguments = {"solarize": (tf.constant(100),), "color": (0.3,), "sharpness": (1.7,)}
    for name in ("auto_contrast", "solarize", "color", "sharpness"):
        ours, kerascv = (
            getattr(module, name)(tf.constant(images[0]), *arguments.get(name, ()))
            for module in (pillow_operations, keras_cv_operations)
        )
        assert ours.shape == images[0].shape
        assert np.abs(ours.numpy().astype(int) - kerascv.numpy()).max() <= 1


def test_apply_runs_the_operation_of_that_number(images):
    image = tf.constant(images[0])
    results = [
        apply(image, number, tf.constant(0.9), tf.constant(1.0), "bicubic").numpy()
        for number in range(16)
    ]
    for result, operation in zip(results, OPERATIONS.values(), strict=False):
        expected = operation(image, 0.9, 1.0, "bicubic").numpy()
        # TensorFlow may round a compiled product otherwise: one grey level.
        assert np.abs(result.astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(results[15], image)


def draws(augmentation, number=3000):
    """Four arrays (number, num_operations)."""
    return draw_operations(np.random.default_rng(5), number, augmentation)


def test_draws_have_timms_distribution():
    operations, levels, signs, bicubic = draws(Augmentation())
    assert operations.shape == (3000, 2)
    # 6,000 draws: half are applied; each operation in one of 30, +- 4 deviations.
    counts = np.bincount(operations.ravel(), minlength=16)
    assert abs(counts[15] - 3000) < 4 * math.sqrt(1500)
    assert np.abs(counts[:15] - 200).max() < 4 * math.sqrt(200)
    # With replacement: the same one twice among two applied, 1 in 15 of 750.
    both = (operations < 15).all(axis=1)
    same = (operations[both, 0] == operations[both, 1]).sum()
    assert abs(same - both.sum() / 15) < 4 * math.sqrt(both.sum() / 15)
    magnitudes = 10 * levels
    assert magnitudes.max() == 10  # clipped
    assert abs(np.median(magnitudes) - 9) < 0.04
    # An eighth, lower than 9 by 1.15 standard deviations.
    assert abs(np.quantile(magnitudes, 0.125) - (9 - 1.15 * 0.5)) < 0.05
    assert abs(signs.mean()) < 4 / math.sqrt(6000) and set(signs.ravel()) == {-1, 1}
    assert abs(bicubic.mean() - 0.5) < 2 / math.sqrt(6000)


def test_settings_reach_the_draws():
    operations, levels, _, bicubic = draws(
        Augmentation(
            num_operations=3,
            operation_probability=1,
            magnitude=4,
            magnitude_std=0,
            interpolation="bilinear",
        ),
        number=20,
    )
    assert operations.shape == (20, 3) and operations.max() < 15
    np.testing.assert_allclose(levels, 0.4)
    assert not bicubic.any()


def test_operations_follow_each_other(images):
    always = Augmentation(operation_probability=1)
    drawn = image_draws(np.arange(8), 3, 96, always)
    for row in range(8):
        one = ImageDraws(*(column[row] for column in drawn))
        expected = tf.constant(images[0])
        for i in range(2):
            method = "bicubic" if one.operations_bicubic[i] else "bilinear"
            arguments = one.operations[i], one.levels[i], one.signs[i], method
            expected = apply(expected, *map(tf.constant, arguments))
        result = operated(tf.constant(images[0]), one, 2)
        np.testing.assert_array_equal(result, expected)
    never = Augmentation(operation_probability=0)
    one = ImageDraws(*(column[0] for column in image_draws([0], 3, 96, never)))
    np.testing.assert_array_equal(operated(images[0], one, 2), images[0])
