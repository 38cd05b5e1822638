"""The drawn windows have torchvision's distribution and stay inside the image."""

import math

import numpy as np
import pytest

from keras_t2t.data.draws.crop import RANDOM_NUMBERS, crop_window
from tests.data.draws import assert_same_distribution


def draw(height, width, draws=4000):
    """(draws, 4): top, left, height, width of windows."""
    numbers = np.random.default_rng(0).random((draws, RANDOM_NUMBERS))
    return np.array([crop_window(height, width, row) for row in numbers])


def torchvision_windows(height, width, draws):
    """torchvision's RandomResizedCrop.get_params, drawn with NumPy, without its loop's
    fallback (which a 375 x 500 image needs in less than one draw of a million)."""
    random, windows = np.random.default_rng(0), []
    while len(windows) < draws:
        area = height * width * random.uniform(0.08, 1)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top = random.integers(0, height - h + 1)
            windows.append((top, random.integers(0, width - w + 1), h, w))
    return np.array(windows)


def test_windows_are_torchvisions():
    windows = draw(375, 500)
    top, left, height, width = windows.T
    assert (top >= 0).all() and (top + height <= 375).all()
    assert (left >= 0).all() and (left + width <= 500).all()
    # Sides are rounded to whole pixels: half a pixel of each is allowed for.
    assert ((height + 0.5) * (width + 0.5) >= 0.08 * 375 * 500).all()
    assert ((width + 0.5) / (height - 0.5) >= 3 / 4).all()
    assert ((width - 0.5) / (height + 0.5) <= 4 / 3).all()

    expected = torchvision_windows(375, 500, draws=4000)
    sides = 375, 500, 375, 500
    # Between two samples of 4,000, a quantile has a standard error of some 1%.
    assert_same_distribution(windows / sides, expected / sides, atol=0.04)


def test_every_offset_occurs():
    windows = draw(4, 4, draws=1000)
    small = windows[(windows[:, 2:] == 2).all(axis=1), :2]
    assert {tuple(w) for w in small} == {(i, j) for i in range(3) for j in range(3)}


@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((10, 1000), (0, 493, 10, 13)),
        ((1000, 10), (493, 0, 13, 10)),
        ((1, 300), (0, 149, 1, 1)),
        ((1, 1), (0, 0, 1, 1)),
    ],
)
def test_an_image_that_no_window_fits_is_cut_at_its_centre(size, window):
    assert {tuple(w) for w in draw(*size, draws=20)} == {window}
