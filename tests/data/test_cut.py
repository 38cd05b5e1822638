"""Evaluation is Pillow's, or near it; training is a crop, a resize and a flip."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_t2t.data.augmentation import AUGMENTATIONS
from keras_t2t.data.dataset import Training, Validation
from keras_t2t.data.draws.image_draws import draws_at
from keras_t2t.data.grain_reader import transforms
from keras_t2t.data.tensorflow_reader.cut import cut_of, pixels, tf
from keras_t2t.preprocessing import evaluation_transform
from tests.photographs import ORIENTATIONS, encode, oriented


def evaluated(encoded, image_size, crop=0.9, method="bicubic"):
    """What TensorFlow's reader makes of a file."""
    asked = Validation(image_size, 1, crop=crop)
    cut = cut_of(encoded, draws_at(0, asked), asked, False, False)
    return pixels(cut, image_size, method)


def trained(reader, encoded, image_size, augmentation, positions, turned=False):
    """(positions, image_size, image_size, 3) float32: one image, cut by these draws."""
    asked, images = Training(image_size, 1, 5, augmentation), []
    for position in positions:
        arguments = encoded, draws_at(position, asked), asked, turned, True
        if reader == "grain":
            images.append(transforms.transformed(*arguments))
        else:
            method = "bicubic" if arguments[1].bicubic else "bilinear"
            images.append(pixels(cut_of(*arguments), image_size, method))
    return np.stack(images).astype("float32")


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
@pytest.mark.parametrize("image_size", [32, 224, 384])
@pytest.mark.parametrize("shape", [(427, 640), (427, 301), (100, 101), (60, 33)])
def test_evaluation_is_near_pillows(photographs, image_size, shape, format):
    """Half a grey level in the mean: Pillow rounds to integers twice, TensorFlow not;
    and of a JPEG it decodes the centre alone, whose colours have other neighbours."""
    for photo in photographs:
        encoded = encode(photo[: shape[0], : shape[1]], format)
        image = Image.open(io.BytesIO(encoded))
        for settings in ((0.9, "bicubic"), (1.0, "bilinear")):
            ours = evaluated(encoded, image_size, *settings)
            expected = evaluation_transform(image, (image_size, image_size), *settings)
            assert ours.shape == expected.shape
            difference = np.abs(ours - expected)
            assert difference.mean() <= 0.6 and np.quantile(difference, 0.999) <= 4


@pytest.mark.parametrize("name", ["none", "light", "padded"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_both_readers_cut_the_same_by_the_same_draws(orientation, name):
    content = oriented(orientation, size=(360, 240))
    ours, theirs = (
        trained(reader, content, 48, AUGMENTATIONS[name], [orientation], turned=True)
        for reader in ("grain", "tensorflow")
    )
    # Without rounding in between, and a JPEG's part has other neighbours.
    assert np.abs(ours - theirs).mean() <= 1


@pytest.mark.nightly
@pytest.mark.parametrize("reader", ["tensorflow", "grain"])
def test_a_padded_crop_is_one_of_all_that_pillow_would_cut(photographs, reader):
    """Resized to 24 x 16, 2 px of black around it: 13 x 5 squares of 16, all drawn."""
    photo = photographs[0][:400, :600]
    resized = Image.fromarray(photo).resize((24, 16), Image.BILINEAR)
    padded = np.asarray(ImageOps.expand(resized, 2), "float32")
    squares = np.stack(
        [padded[y : y + 16, x : x + 16] for y in range(5) for x in range(13)]
    )
    augmentation = dataclasses.replace(AUGMENTATIONS["padded"], flip_probability=0.0)
    images = trained(reader, encode(photo, "PNG"), 16, augmentation, range(700))
    same = np.abs(images[:, None] - squares).max(axis=(2, 3, 4)) <= 2
    assert (same.sum(axis=1) == 1).all()
    # 700 draws miss one of 65 with probability 1e-3; the seed is fixed.
    assert set(same.argmax(axis=1)) == set(range(65))


@pytest.mark.parametrize("reader", ["tensorflow", "grain"])
def test_training_images_show_windows_and_half_are_flipped(reader):
    # Red grows to the right and green downwards, so corners tell window and flip.
    green, red = np.indices((256, 256))
    encoded = encode(np.stack([red, green, 0 * red], -1).astype("uint8"), "PNG")

    images = trained(reader, encoded, 16, AUGMENTATIONS["light"], range(400))
    assert (images[:, -1, :, 1] > images[:, 0, :, 1]).all()  # never upside down
    across = images[:, 8, -1, 0] - images[:, 8, 0, 0]
    assert 160 <= (across < 0).sum() <= 240  # binomial: 200 +- 4 standard deviations
    # What is seen spans 15/16 of the window, a window 28% (sqrt of 8%, flattened by
    # the ratio to 24%) to 100% of the side.
    assert np.abs(across).min() >= 0.24 * 255 * 0.9
    assert np.abs(across).max() > 0.9 * 255
    # Straight ramps stay straight under resizing, wherever the kernel sees no border.
    steps = np.diff(images[:, 8, 3:-3, 0], axis=1)
    assert (np.ptp(steps, axis=1) <= 2).all()


@pytest.mark.parametrize("shape", [(5000, 3), (3, 5000), (1, 5000), (5000, 1)])
def test_very_long_images_cost_no_more_than_others(shape):
    """A column of 5,000 pixels was resized to 1,240,000 rows: over a gigabyte."""
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype="uint8")
    png = encode(noise, "PNG")
    asked = Validation(224, 1)
    cut = cut_of(png, draws_at(0, asked), asked, False, False)
    assert max(cut.pixels.shape) <= 10
    expected = evaluation_transform(Image.fromarray(noise))
    difference = np.abs(evaluated(png, 224) - expected)
    # Pillow rounds between its two passes, which shows at hard edges alone.
    assert difference.mean() <= 1 and difference.max() <= 12


def test_large_jpegs_are_reduced_alike(photographs):
    """To a quarter and a half; both readers decode the same small image, but for the
    neighbours of what TensorFlow cuts out."""
    image = Image.fromarray(photographs[0]).resize((1001, 667), Image.BICUBIC)
    encoded = encode(image, "JPEG")
    for size, times in ((64, 4), (128, 2)):
        asked = Validation(size, 1)
        arguments = encoded, draws_at(0, asked), asked, False, True
        cut = cut_of(*arguments)
        assert 2**cut.reduction == times
        theirs = transforms.transformed(*arguments)
        assert np.abs(pixels(cut, size, "bicubic") - theirs).mean() <= 0.6
        exact = np.abs(evaluated(encoded, size) - theirs).mean()
        assert 0.3 < exact < 1  # the photograph is sharp to its last pixel


def test_a_jpeg_that_is_cut_off_is_an_error(photographs):
    encoded = encode(photographs[0], "JPEG")[:-20_000]
    with pytest.raises(tf.errors.InvalidArgumentError):
        evaluated(encoded, 32)
