"""The digits: their values, their fixed split, and an endless reproducible stream."""

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from keras_t2t import data
from tests.data import streams


@pytest.fixture(scope="module")
def digits():
    return data.open_dataset("digits")


def test_description_and_a_validation_split_that_is_stratified(digits):
    assert digits.name == "digits"
    assert digits.class_names == tuple("0123456789") and digits.num_classes == 10
    assert (digits.num_train, digits.num_validation) == (1437, 360)
    assert digits.diagnose(ValueError()) is None
    batches = streams.batches(digits.validation_batches(8, 64))
    assert [len(images) for images, _ in batches] == [64] * 5 + [40]
    images, labels = streams.read(batches)
    assert images.shape == (360, 8, 8, 3) and images.dtype == np.uint8
    assert labels.shape == (360, 10) and labels.dtype == np.float32
    np.testing.assert_array_equal(labels.sum(axis=1), 1)
    # A fifth of each class, to the image.
    counts = np.bincount(load_digits().target)
    assert np.abs(labels.sum(axis=0) - counts / 5).max() <= 1


def test_every_epoch_and_validation_hold_every_digit_once_with_its_label(digits):
    source = load_digits()
    # At 8 px nothing is resized: the pixels are the source's, 0..16 stretched to 255.
    expected = np.column_stack([np.round(source.data * 255 / 16), source.target])

    def rows(batches):
        images, labels = streams.read(batches)
        pixels = images[..., 0].reshape(-1, 64).astype(int)
        return np.column_stack([pixels, labels.argmax(axis=1)]).tolist()

    batches = streams.batches(digits.train_batches(8, 479, seed=3), 6)
    epochs = rows(batches[:3]), rows(batches[3:])
    for epoch in epochs:
        together = epoch + rows(digits.validation_batches(8, 64))
        assert sorted(together) == sorted(expected.astype(int).tolist())
    assert epochs[0] != epochs[1]


def test_upscaling_is_bilinear(digits):
    small, large = (
        streams.read(digits.validation_batches(size, 20), 1)[0] for size in (8, 52)
    )
    assert large.shape == (20, 52, 52, 3)
    for image, expected in zip(large, small, strict=True):
        expected = Image.fromarray(expected).resize((52, 52), Image.BILINEAR)
        # Two grey levels: Pillow rounds its input (0..255) and between its two passes.
        assert np.abs(image.astype(int) - np.asarray(expected)).max() <= 2


def test_streams_start_anywhere_and_are_cut_into_shards_but_not_augmented(digits):
    streams.check_training(digits)
    streams.check_validation(digits)
    streams.check_bad_arguments(digits)
    plain, none = (
        streams.batches(digits.train_batches(8, 4, 0, augmentation), 2)
        for augmentation in (None, data.AUGMENTATIONS["none"])
    )
    streams.assert_same(plain, none)
    with pytest.raises(ValueError, match="augmentation of the digits must be None"):
        digits.train_batches(8, 4, 0, data.AUGMENTATIONS["light"])
