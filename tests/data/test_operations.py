"""RandAugment's and 3-Augment's operations are Pillow's, or near it by TensorFlow's
reader; what is drawn has timm's and DeiT III's distribution."""

import dataclasses
import math

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from keras_t2t.data.augmentation import AUGMENTATIONS, Augmentation
from keras_t2t.data.dataset import Training
from keras_t2t.data.draws.image_draws import draws_at
from keras_t2t.data.draws.operations import FILL, NONE, NUMBERS_OF, draw_operations
from keras_t2t.data.grain_reader import operations as pillow
from keras_t2t.data.tensorflow_reader import operations as tensorflow
from tests.data.draws import image_draws

tf = tensorflow.tf
NAMES = {number: name for name, number in NUMBERS_OF.items()}


def affine(image, filter, x=(1, 0, 0), y=(0, 1, 0)):
    matrix = *x, *y
    return image.transform(image.size, Image.AFFINE, matrix, filter, fillcolor=FILL)


def solarize_add(image, amount):
    return image.point(lambda value: value + amount if value < 128 else value)


def enhanced(kind):
    return lambda i, m, s, f: kind(i).enhance(1 + s * 0.09 * m)


# What timm does, and for the last two DeiT's augment.py, as (image, magnitude 0..10,
# sign, filter).
EXPECTED = {
    "auto_contrast": lambda i, m, s, f: ImageOps.autocontrast(i),
    "equalize": lambda i, m, s, f: ImageOps.equalize(i),
    "invert": lambda i, m, s, f: ImageOps.invert(i),
    "rotate": lambda i, m, s, f: i.rotate(s * 30 * m / 10, f, fillcolor=FILL),
    "posterize": lambda i, m, s, f: i.point(lambda v: v - v % 2 ** (4 + int(0.4 * m))),
    "solarize": lambda i, m, s, f: ImageOps.solarize(i, 256 - int(256 * m / 10)),
    "solarize_add": lambda i, m, s, f: solarize_add(i, int(110 * m / 10)),
    "color": enhanced(ImageEnhance.Color),
    "contrast": enhanced(ImageEnhance.Contrast),
    "brightness": enhanced(ImageEnhance.Brightness),
    "sharpness": enhanced(ImageEnhance.Sharpness),
    "shear_x": lambda i, m, s, f: affine(i, f, x=(1, s * 0.03 * m, 0)),
    "shear_y": lambda i, m, s, f: affine(i, f, y=(s * 0.03 * m, 1, 0)),
    "translate_x": lambda i, m, s, f: affine(i, f, x=(1, 0, s * 0.045 * m * i.width)),
    "translate_y": lambda i, m, s, f: affine(i, f, y=(0, 1, s * 0.045 * m * i.height)),
    "none": lambda i, m, s, f: i,
    "grey": lambda i, m, s, f: ImageOps.grayscale(i).convert("RGB"),
    "blur": lambda i, m, s, f: i.filter(ImageFilter.GaussianBlur(0.1 + 0.19 * m)),
}


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


@pytest.mark.parametrize("name", EXPECTED)
def test_operation_of_tensorflow_is_near_pillows(images, name):
    """By its number. The same direction and size, where Pillow's own changes anything:
    what is left is a fifth of that at most, or two grey levels in the mean. KerasCV's
    equalize is another where a photograph is blown out."""
    for image in images[:2] if name == "equalize" else images:
        for level, sign in ((0.0, 1.0), (0.37, -1.0), (0.92, 1.0), (1.0, -1.0)):
            numbers = (tf.constant(value, "float32") for value in (level, sign))
            pixels = tf.constant(image, "float32")
            result = tensorflow.apply(pixels, NUMBERS_OF[name], *numbers)
            result = np.clip(result.numpy(), 0, 255)
            whole = Image.fromarray(image)
            expected = EXPECTED[name](whole, 10 * level, sign, Image.BILINEAR)
            expected = np.asarray(expected, "float32")
            change = np.abs(expected - image).mean()
            difference = np.abs(result - expected).mean()
            assert difference <= max(0.2 * change, 2), (level, sign, change)


@pytest.mark.parametrize("name", EXPECTED)
def test_operation_of_the_other_reader_is_pillows(images, name):
    for filter in pillow.FILTERS:
        for magnitude, sign in ((0.0, 1), (3.7, -1), (8.63, 1), (10.0, -1)):
            image = Image.fromarray(images[0])
            result = pillow.OPERATIONS[name](image, magnitude / 10, float(sign), filter)
            expected = EXPECTED[name](image, magnitude, sign, filter)
            # One level: the same number, multiplied in another order.
            difference = np.asarray(result).astype(int) - np.asarray(expected)
            assert np.abs(difference).max() <= 1


def test_every_operation_is_drawn_as_by_timm():
    assert NONE == 15 and tuple(EXPECTED) == tuple(NUMBERS_OF)
    assert set(tensorflow.OPERATIONS) == set(pillow.OPERATIONS) == set(NUMBERS_OF)
    random = np.random.default_rng(5)
    operations, levels, signs, bicubic = draw_operations(random, 3000, Augmentation())
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
    # The settings reach them.
    settings = {"num_operations": 3, "operation_probability": 1, "magnitude": 4}
    settings |= {"magnitude_std": 0, "interpolation": "bilinear"}
    drawn = draw_operations(random, 20, Augmentation(**settings))
    operations, levels, _, bicubic = drawn
    assert operations.shape == (20, 3) and operations.max() < 15
    np.testing.assert_allclose(levels, 0.4)
    assert not bicubic.any()


def test_one_of_three_then_all_of_the_jitter_in_any_order():
    drawn = image_draws(range(3000), 3, 32, AUGMENTATIONS["three"])
    names = np.vectorize(NAMES.get)(drawn.operations)
    assert names.shape == (3000, AUGMENTATIONS["three"].operations_per_image)
    for name in ("grey", "solarize", "blur"):  # 4 deviations of a third
        assert abs((names[:, 0] == name).mean() - 1 / 3) < 4 * 0.0086
    assert (np.sort(names[:, 1:]) == ["brightness", "color", "contrast"]).all()
    assert len({tuple(row) for row in names[:, 1:]}) == 6
    factors = 1 + 0.9 * drawn.levels[:, 1:] * drawn.signs[:, 1:]
    assert factors.min() == pytest.approx(0.7, abs=0.01)
    assert factors.max() == pytest.approx(1.3, abs=0.01)
    assert abs(factors.mean() - 1) < 4 * 0.173 / 9000**0.5
    blurred = drawn.levels[names[:, 0] == "blur", 0]
    assert 0 <= blurred.min() < 0.01 and 0.99 < blurred.max() <= 1
    for settings, number in (({"three_augment": False}, 3), ({"color_jitter": 0.0}, 1)):
        row = dataclasses.replace(AUGMENTATIONS["three"], **settings)
        assert image_draws([0], 3, 32, row).operations.shape == (1, number)


def test_both_readers_follow_the_draws_of_3_augment(images):
    """One operation after the other."""
    image, seen = Image.fromarray(images[0]), set()
    for position in range(24):
        one = draws_at(position, Training(32, 1, 3, AUGMENTATIONS["three"]))
        columns = one.operations, one.levels, one.signs
        expected = image
        for number, level, sign in zip(*columns, strict=True):
            expected = EXPECTED[NAMES[number]](expected, 10 * float(level), sign, None)
            seen.add(NAMES[number])
        expected = np.asarray(expected).astype(int)
        ours = np.asarray(pillow.operated(image, one))
        assert np.abs(ours - expected).max() <= 1  # a factor's last bit
        pixels = tf.constant(images[0], "float32")
        other = tensorflow.operated(pixels, *map(tf.constant, columns))
        # Nothing is rounded in between.
        assert np.abs(other - expected).mean() <= 2
    assert len(seen) == 6
