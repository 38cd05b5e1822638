"""3-Augment, colour jitter and repeats: the pixels are Pillow's, the draws as said."""

import dataclasses

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from keras_t2t.data import AUGMENTATIONS, Augmentation
from keras_t2t.data.draws.image_draws import ImageDraws, image_draws
from keras_t2t.data.draws.order import shuffled_indices
from keras_t2t.data.draws.rand_augment import NUMBERS_OF
from keras_t2t.data.grain_reader import operations as pillow
from keras_t2t.data.tensorflow_reader import operations as tensorflow

NAMES = {number: name for name, number in NUMBERS_OF.items()}
# As torchvision's ColorJitter and DeiT's augment.py do: (image, factor or radius).
EXPECTED = {
    "grey": lambda image, _: ImageOps.grayscale(image).convert("RGB"),
    "solarize": lambda image, _: ImageOps.solarize(image),
    "blur": lambda image, radius: image.filter(ImageFilter.GaussianBlur(radius)),
    "brightness": lambda image, f: ImageEnhance.Brightness(image).enhance(f),
    "contrast": lambda image, f: ImageEnhance.Contrast(image).enhance(f),
    "color": lambda image, f: ImageEnhance.Color(image).enhance(f),
}


def draws(number, **settings):
    row = dataclasses.replace(AUGMENTATIONS["three"], **settings)
    return image_draws(np.arange(number), 3, 32, row)


def test_deit_iii_s_row():
    row = AUGMENTATIONS["three"]
    assert (row.color_jitter, row.repeats, row.erasing_probability) == (0.3, 3, 0)
    assert (row.crop_scale, row.interpolation) == ((0.08, 1.0), "bicubic")
    assert (row.mixup_alpha, row.cutmix_alpha, row.flip_probability) == (0.8, 1, 0.5)
    assert row.operations_per_image == 4 and not row.is_off
    none = AUGMENTATIONS["none"]
    assert none.is_off and not dataclasses.replace(none, color_jitter=0.1).is_off
    assert not dataclasses.replace(none, three_augment=True).is_off


def test_one_of_three_then_all_of_the_jitter_in_any_order():
    drawn = draws(3000)
    names = np.vectorize(NAMES.get)(drawn.operations)
    assert names.shape == (3000, 4)
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
    assert draws(5, three_augment=False).operations.shape == (5, 3)
    assert draws(5, color_jitter=0.0).operations.shape == (5, 1)


def test_randaugment_draws_the_same_beside_it():
    alone = image_draws(np.arange(9), 3, 32, AUGMENTATIONS["full"])
    beside = draws(9, num_operations=2, interpolation="random")
    for name in ("operations", "levels", "signs", "operations_bicubic"):
        column = getattr(beside, name)[:, 4:]
        np.testing.assert_array_equal(column, getattr(alone, name))


def test_both_readers_do_what_pillow_does(photographs):
    pixels = photographs[0][100:196, 200:296]
    drawn, seen = draws(24), set()
    for row in range(24):
        one = ImageDraws(*(column[row] for column in drawn))
        expected = Image.fromarray(pixels)
        for number, level, sign in zip(
            one.operations, one.levels, one.signs, strict=True
        ):
            name = NAMES[number]
            value = 0.1 + 1.9 * level if name == "blur" else 1 + sign * 0.9 * level
            expected = EXPECTED[name](expected, float(value))
            seen.add(name)
        expected = np.asarray(expected).astype(int)
        ours = np.asarray(pillow.operated(Image.fromarray(pixels), one))
        assert np.abs(ours - expected).max() <= 1  # a factor's last bit
        columns = one.operations, one.levels, one.signs
        other = tensorflow.operated(
            tensorflow.tf.constant(pixels, "float32"),
            *map(tensorflow.tf.constant, columns),
        )
        # Nothing is rounded in between.
        assert np.abs(other - expected).mean() <= 2
    assert seen == set(EXPECTED)


@pytest.mark.parametrize("name", ["grey", "blur"])
def test_new_operations_are_pillow_s_to_the_last_bit(photographs, name):
    image = photographs[1][:96, 60:156]
    expected = np.asarray(EXPECTED[name](Image.fromarray(image), 0.1 + 1.9 * 0.6))
    ours = pillow.OPERATIONS[name](Image.fromarray(image), 0.6, 1.0, None)
    np.testing.assert_array_equal(np.asarray(ours), expected)
    tf = tensorflow.tf
    other = tensorflow.apply(
        tf.constant(image, "float32"), NUMBERS_OF[name], tf.constant(0.6), 1.0
    )
    assert np.abs(other - expected).mean() <= 0.5  # grey is not rounded


@pytest.mark.parametrize("count", [96, 97, 200])
def test_repeats_in_an_epoch_of_fewer_images(count):
    """Never beside itself, which would be mixed with itself, nor often by another."""
    order = shuffled_indices(np.arange(2 * count), count, 3)
    again = shuffled_indices(np.arange(2 * count), count, 3, repeats=3)
    for start in (0, count):
        epoch = again[start : start + 96]
        images, times = np.unique(epoch, return_counts=True)
        assert (times == 3).all() and set(images) == set(order[start : start + 32])
        assert epoch.max() < count
    assert (again[1:] != again[:-1]).all()
    pairs = [frozenset(pair) for pair in again[:96].reshape(-1, 2).tolist()]
    assert len(set(pairs)) == 48
    assert (shuffled_indices([4, 90], count, 3, 3) == again[[4, 90]]).all()
    assert sorted(shuffled_indices(np.arange(7), 7, 3, 3)) == list(range(7))


@pytest.mark.parametrize(
    ("attribute", "value", "accepted"),
    [
        ("color_jitter", 1.2, r"in 0\.\.1"),
        ("three_augment", 1, "True or False"),
        ("repeats", 0, "at least 1"),
        ("repeats", 2.0, "an integer"),
    ],
)
def test_a_bad_value_is_named(attribute, value, accepted):
    with pytest.raises(ValueError, match=f"^{attribute} must be .*{accepted}"):
        Augmentation(**{attribute: value})
