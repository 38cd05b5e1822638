"""Real photographs, and image folders made of them."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from benchmarks.data_layouts import write_folders
from keras_t2t.data.readers import READERS
from tests.photographs import encode


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


@pytest.fixture
def write_folder(tmp_path):
    """write_folder({"train/cat/1.jpg": bytes, ...}) -> the folder that holds them."""

    def write_folder(files, name="photos"):
        write_folders(tmp_path / name, files)
        return tmp_path / name

    return write_folder


@pytest.fixture
def write_photographs(write_folder, photographs):
    """write_photographs(format) -> a folder of two classes, of each five photographs to
    train on and four to validate."""

    def write(format):
        files = {
            f"{split}/{name}/{i}": encode(photo[i * 30 :, i * 20 :], format)
            for split, count in (("train", 5), ("val", 4))
            for name, photo in zip(("china", "flower"), photographs, strict=True)
            for i in range(count)
        }
        return write_folder(files)

    return write


@pytest.fixture
def small_files():
    """Files of a valid folder: two classes, three training and two validation images.

    Every image is of one colour, which a crop or flip keeps: it tells the image.
    """

    def png(*colour):
        return encode(np.full((20, 30, 3), colour, "uint8"), "PNG")

    return {
        f"{split}/{name}/{i}.png": png(10 * i, green, blue)
        for split, count, blue in (("train", 3, 50), ("val", 2, 150))
        for name, green in (("cat", 0), ("dog", 99))
        for i in range(count)
    }
