"""The Pillow evaluation transform, against torchvision's arithmetic."""

import re

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from keras_t2t.preprocessing import evaluation_transform

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def photograph():
    return Image.fromarray(load_sample_image("china.jpg"))  # 640 x 427


def test_short_side_to_248_and_the_centre_cut_out(photograph):
    resized = photograph.resize((371, 248), Image.BICUBIC)  # int(248 * 640 / 427)
    left, top = 74, 12  # 73.5 and 12 px; halves go to the even side
    expected = np.asarray(resized)[top : top + 224, left : left + 224]
    actual = evaluation_transform(photograph)
    assert actual.dtype == np.uint8
    np.testing.assert_array_equal(actual, expected)
    # A tall one, and other settings.
    tall = photograph.transpose(Image.TRANSPOSE)
    resized = tall.resize((32, 47), Image.BILINEAR)
    actual = evaluation_transform(tall, (32, 32), 1.0, "bilinear")
    np.testing.assert_array_equal(actual, np.asarray(resized)[8:40])  # 7.5 px


@pytest.mark.parametrize("size", [(96, 160), (160, 96), (50, 200), (224, 224)])
@pytest.mark.parametrize("source", [(640, 427), (427, 640), (33, 20), (500, 500)])
def test_every_size_is_covered(source, size, photograph):
    image = photograph.resize(source)
    assert evaluation_transform(image, size).shape == (*size, 3)


def test_files_and_other_modes(photograph, tmp_path):
    photograph.save(tmp_path / "x.png")
    expected = evaluation_transform(photograph, (64, 64))
    found = evaluation_transform(tmp_path / "x.png", (64, 64))
    np.testing.assert_array_equal(found, expected)
    for mode in ("L", "RGBA", "CMYK", "P"):
        assert evaluation_transform(photograph.convert(mode)).shape == (224, 224, 3)


def test_bad_arguments(photograph, tmp_path):
    for name, values in {
        "interpolation": ["nearest"],
        "crop": [1.5, 0, "x"],
        "size": [(0, 5), 5, "ab", (5.0, 5), None],
    }.items():
        for value in values:
            with pytest.raises(ValueError, match=f"`{name}`.*{re.escape(repr(value))}"):
                evaluation_transform(photograph, **{name: value})
    with pytest.raises(ValueError, match="`image` must be"):
        evaluation_transform(np.asarray(photograph))
    with pytest.raises(OSError, match=r"gone\.jpg"):
        evaluation_transform(tmp_path / "gone.jpg")
