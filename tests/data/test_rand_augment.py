"""RandAugment's operations are Pillow's, or near it by TensorFlow's reader; what is
drawn has timm's distribution."""

import math

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from keras_t2t.data.augmentation import Augmentation
from keras_t2t.data.draws.rand_augment import FILL, NUMBERS_OF, draw_operations
from keras_t2t.data.draws.rand_augment import OPERATIONS as NAMES
from keras_t2t.data.grain_reader import operations
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
    """Photographs, and what breaks histograms: few values, one value."""
    china, flower = photographs
    return [
        china[100:196, 200:296],
        flower[:96, 60:156],
        np.where(flower[:96, 300:396] > 60, 255, flower[:96, 300:396]),  # blown out
        np.full((96, 96, 3), (0, 128, 255), "uint8"),
    ]


def test_every_operation_is_compared():
    assert tuple(EXPECTED) == NAMES and len(NAMES) == 15
    assert set(OPERATIONS) == set(operations.OPERATIONS) == set(NUMBERS_OF)
    assert tuple(NUMBERS_OF)[:15] == NAMES


@pytest.mark.parametrize("name", EXPECTED)
def test_operation_of_tensorflow_is_near_pillows(images, name):
    """By its number. The same direction and size, where Pillow's own changes anything:
    what is left is a fifth of that at most, or two grey levels in the mean. KerasCV's
    equalize is another where a photograph is blown out."""
    for image in images[:2] if name == "equalize" else images:
        for level, sign in ((0.0, 1.0), (0.37, -1.0), (0.92, 1.0), (1.0, -1.0)):
            result = apply(
                tf.constant(image, "float32"),
                NUMBERS_OF[name],
                *(tf.constant(value, "float32") for value in (level, sign)),
            )
            expected = EXPECTED[name](
                Image.fromarray(image), 10 * level, sign, "bilinear"
            )
            expected = np.asarray(expected, "float32")
            result = np.clip(result.numpy(), 0, 255)
            change = np.abs(expected - image).mean()
            difference = np.abs(result - expected).mean()
            assert difference <= max(0.2 * change, 2), (level, sign, change)


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
    image = tf.constant(images[0], "float32")
    numbers = [NUMBERS_OF[name] for name in ("invert", "none", "posterize")]
    arguments = tf.constant([0.5, 0.5, 0.5]), tf.constant([1.0, 1.0, 1.0])
    result = operated(image, tf.constant(numbers), *arguments)
    np.testing.assert_array_equal(result, (255 - images[0]) & 0b11000000)
