"""RandAugment's operations equal Pillow's; what is drawn has timm's distribution."""

import math

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from keras_t2t.data.affine import FILL
from keras_t2t.data.augmentation import Augmentation
from keras_t2t.data.rand_augment import OPERATIONS, apply, draw, rand_augment, tf

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
    assert list(EXPECTED) == list(OPERATIONS) and len(OPERATIONS) == 15


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
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
