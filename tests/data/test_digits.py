"""The digits: their values, their fixed split, and an endless reproducible stream."""

import itertools

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from keras_t2t import data
from tests.data import streams


@pytest.fixture(scope="module")
def digits():
    return data.open_dataset("digits")


def read(batches):
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_description(digits):
    assert digits.name == "digits"
    assert digits.class_names == tuple("0123456789")
    assert digits.num_classes == 10
    assert (digits.num_train, digits.num_validation) == (1437, 360)
    assert digits.diagnose(ValueError()) is None


def test_validation_is_in_order_stratified_and_ends_in_a_partial_batch(digits):
    batches = list(digits.validation_batches(8, 64))
    assert [len(images) for images, _ in batches] == [64] * 5 + [40]
    images, labels = read(batches)
    assert images.shape == (360, 8, 8, 3) and images.dtype == np.uint8
    assert labels.shape == (360, 10) and labels.dtype == np.float32
    np.testing.assert_array_equal(labels.sum(axis=1), 1)
    # A fifth of each class, to the image.
    counts = np.bincount(load_digits().target)
    assert np.abs(labels.sum(axis=0) - counts / 5).max() <= 1
    again, _ = read(digits.validation_batches(8, 100))
    np.testing.assert_array_equal(images, again)


def test_splits_hold_every_digit_once_with_its_label(digits):
    steps = 1437 // 479  # whole batches
    train = read(itertools.islice(digits.train_batches(8, 479, seed=3), steps))
    validation = read(digits.validation_batches(8, 64))
    images = np.concatenate([train[0], validation[0]])[..., 0].reshape(-1, 64)
    labels = np.concatenate([train[1], validation[1]]).argmax(axis=1)
    source = load_digits()
    expected = np.round(source.data * 255 / 16)
    # At 8 px nothing is resized: the pixels are the source's, 0..16 stretched to 255.
    assert sorted(map(tuple, np.column_stack([images, labels]).astype(int))) == sorted(
        map(tuple, np.column_stack([expected, source.target]).astype(int))
    )


def test_every_epoch_is_another_permutation(digits):
    stream = digits.train_batches(8, 479, seed=0)
    epochs = [read(stream[step] for step in range(3 * e, 3 * e + 3)) for e in (0, 1)]
    flat = [images[..., 0].reshape(-1, 64) for images, _ in epochs]
    assert not np.array_equal(*flat)
    np.testing.assert_array_equal(*(np.unique(f, axis=0) for f in flat))


def test_seed_decides_the_order(digits):
    first, again, other = (
        digits.train_batches(8, 64, seed)[2][0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_upscaling_is_bilinear(digits):
    small = read(digits.validation_batches(8, 360))[0]
    large = read(digits.validation_batches(52, 360))[0]
    assert large.shape == (360, 52, 52, 3)
    for image, expected in zip(large[:20], small[:20], strict=True):
        expected = Image.fromarray(expected).resize((52, 52), Image.BILINEAR)
        # Two grey levels: Pillow rounds its input (0..255) and between its two passes.
        assert np.abs(image.astype(int) - np.asarray(expected)).max() <= 2


def test_streams_start_anywhere_and_are_cut_into_shards(digits):
    streams.check_training(digits)
    # Past the end of an epoch.
    whole = streams.batches(digits.train_batches(8, 479, seed=3), 5)
    resumed = digits.train_batches(8, 479, seed=3, first_step=4)
    streams.assert_same(streams.batches(resumed, 1), whole[4:])


def test_validation_counts_every_image_once(digits):
    streams.check_validation(digits)


def test_bad_arguments(digits):
    streams.check_bad_arguments(digits)


def test_digits_are_not_augmented(digits):
    with pytest.raises(ValueError, match="augmentation of the digits must be None"):
        digits.train_batches(8, 4, 0, data.AUGMENTATIONS["light"])
    plain, none = (
        streams.batches(digits.train_batches(8, 4, 0, augmentation), 2)
        for augmentation in (None, data.AUGMENTATIONS["none"])
    )
    streams.assert_same(plain, none)
