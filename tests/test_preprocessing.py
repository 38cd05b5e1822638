"""Pixels in, class names out."""

import keras
import numpy as np
import pytest
from keras import ops
from keras.src.applications import imagenet_utils  # where the index is cached

import keras_t2t


def test_preprocess_input_standardises_each_channel():
    pixels = np.array([[[[0, 128, 255]]]], "uint8")
    expected = np.array(
        [(0 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    )
    for images in (pixels, pixels.astype("float64"), ops.convert_to_tensor(pixels)):
        y = ops.convert_to_numpy(keras_t2t.preprocess_input(images))
        assert y.dtype == "float32"
        np.testing.assert_allclose(y.ravel(), expected, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="torch has devices")
def test_preprocess_input_on_another_device():
    images = ops.zeros((1, 4, 4, 3))
    with keras.device("meta"):
        assert str(keras_t2t.preprocess_input(images).device) == "meta"


def test_preprocess_input_leaves_its_argument_alone():
    images = np.full((2, 2, 3), 7.0, "float32")
    keras_t2t.preprocess_input(images)
    assert (images == 7).all()


def test_preprocess_input_wants_three_channels_last():
    with pytest.raises(ValueError, match=r"3 channels .* got shape \(1, 3, 8, 8\)"):
        keras_t2t.preprocess_input(np.zeros((1, 3, 8, 8)))


def test_decode_predictions(monkeypatch):
    index = {str(i): [f"n{i:08}", f"class_{i}"] for i in range(1000)}
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX", index)
    scores = np.zeros((2, 1000), "float32")
    scores[0, 7], scores[0, 3], scores[1, 999] = 0.75, 0.25, 1.0
    named = keras_t2t.decode_predictions(ops.convert_to_tensor(scores), top=2)
    assert named[0] == [("n00000007", "class_7", 0.75), ("n00000003", "class_3", 0.25)]
    assert named[1][0] == ("n00000999", "class_999", 1.0)
    with pytest.raises(ValueError, match=r"shape \(batch, 1000\).* got \(2, 10\)"):
        keras_t2t.decode_predictions(scores[:, :10])
