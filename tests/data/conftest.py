"""Real photographs, and image folders made of them."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from keras_t2t.data.readers import READERS
from tests.photographs import encode as encode_image


@pytest.fixture(scope="session")
def photographs():
    """Two photographs, (427, 640, 3) uint8, decoded once."""
    return [load_sample_image("china.jpg"), load_sample_image("flower.jpg")]


@pytest.fixture(params=["grain", pytest.param("tensorflow", marks=pytest.mark.nightly)])
def reader(request, monkeypatch):
    """What reads images where a test does not say: each in turn, that of TensorFlow at
    night; test_readers.py holds one to the other."""
    in_order = sorted(READERS, key=lambda name: name != request.param)
    monkeypatch.setattr("keras_t2t.data.opening.READERS", in_order)
    return request.param


@pytest.fixture(scope="session")
def encode():
    """encode(pixels or Pillow image, format, **options) -> bytes."""
    return encode_image


@pytest.fixture
def write_folder(tmp_path):
    """write_folder({"train/cat/1.jpg": bytes, ...}) -> the folder that holds them."""

    def write_folder(files, name="photos"):
        for path, content in files.items():
            path = tmp_path / name / path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / name

    return write_folder


@pytest.fixture
def write_photographs(write_folder, photographs, encode):
    """write_photographs(format) -> a folder of four in each split of two classes."""

    def write(format):
        files = {
            f"{split}/{name}/{i}": encode(photo[i * 30 :, i * 20 :], format)
            for split in ("train", "val")
            for name, photo in zip(("china", "flower"), photographs, strict=True)
            for i in range(4)
        }
        return write_folder(files)

    return write


@pytest.fixture
def small_files(encode):
    """Files of a valid folder: two classes, three training and two validation images.

    Every image is of one colour, which a crop or flip keeps: it tells the image.
    """

    def png(red, green, blue):
        return encode(np.full((20, 30, 3), (red, green, blue), "uint8"), "PNG")

    return {
        **{f"train/cat/{i}.png": png(10 * i, 0, 50) for i in range(3)},
        **{f"train/dog/{i}.png": png(10 * i, 99, 50) for i in range(3)},
        **{f"val/cat/{i}.png": png(10 * i, 0, 150) for i in range(2)},
        **{f"val/dog/{i}.png": png(10 * i, 99, 150) for i in range(2)},
    }
