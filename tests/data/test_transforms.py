"""Evaluation equals the Pillow pipeline; training is a crop, a resize and a flip."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_t2t.data.augmentation import AUGMENTATIONS
from keras_t2t.data.draws.image_draws import ImageDraws, image_draws
from keras_t2t.data.tensorflow_reader.decode import decode, tf
from keras_t2t.data.tensorflow_reader.transforms import evaluation_image, training_image
from keras_t2t.preprocessing import evaluation_transform


def pillow_evaluation(image, image_size, crop=0.9, method=Image.BICUBIC):
    """torchvision's Resize and CenterCrop on a Pillow image."""
    short = int(image_size / crop)
    width, height = image.size
    if width <= height:
        size = short, int(short * height / width)
    else:
        size = int(short * width / height), short
    image = image.resize(size, method)
    left = round((size[0] - image_size) / 2)
    top = round((size[1] - image_size) / 2)
    image = image.crop((left, top, left + image_size, top + image_size))
    return np.asarray(image).astype(int)


def training_images(encoded, image_size, augmentation, number):
    """(number, image_size, image_size, 3): the same image at the first positions."""
    draws = image_draws(np.arange(number), 5, image_size, augmentation)

    @tf.function
    def images():
        return tf.map_fn(
            lambda one: training_image(encoded, image_size, one, augmentation),
            ImageDraws(*map(tf.constant, draws)),
            fn_output_signature="uint8",
        )

    return images().numpy()


@pytest.mark.parametrize("image_size", [32, 96, 224, 384])
@pytest.mark.parametrize("shape", [(427, 640), (427, 301), (100, 101), (60, 33)])
def test_evaluation_equals_pillow(photographs, encode, image_size, shape):
    for photo in photographs:
        photo = photo[: shape[0], : shape[1]]
        image = evaluation_image(encode(photo, "PNG"), image_size).numpy()
        assert image.shape == (image_size, image_size, 3) and image.dtype == np.uint8
        expected = pillow_evaluation(Image.fromarray(photo), image_size)
        # Two grey levels: Pillow rounds to integers between its two passes.
        assert np.abs(image.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("crop", [1.0, 0.875])
def test_evaluation_at_another_crop_and_interpolation(photographs, encode, crop):
    encoded = encode(photographs[0], "PNG")
    image = evaluation_image(encoded, 96, crop, "bilinear").numpy().astype(int)
    photo = Image.fromarray(photographs[0])
    expected = pillow_evaluation(photo, 96, crop, Image.BILINEAR)
    assert np.abs(image - expected).max() <= 2


@pytest.mark.nightly
def test_a_padded_crop_is_one_of_all_that_pillow_would_cut(photographs, encode):
    """Resized to 24 x 16, 2 px of black around it: 13 x 5 squares of 16, all drawn."""
    photo = photographs[0][:400, :600]
    resized = Image.fromarray(photo).resize((24, 16), Image.BILINEAR)
    padded = ImageOps.expand(resized, 2)
    squares = np.stack(
        [
            np.asarray(padded.crop((left, top, left + 16, top + 16)), "int16")
            for top in range(5)
            for left in range(13)
        ]
    )
    augmentation = dataclasses.replace(AUGMENTATIONS["padded"], flip_probability=0.0)
    encoded = encode(photo, "PNG")

    images = training_images(encoded, 16, augmentation, 700).astype("int16")
    same = np.abs(images[:, None] - squares).max(axis=(2, 3, 4)) <= 2
    assert (same.sum(axis=1) == 1).all()
    # 700 draws miss one of 65 with probability 1e-3; the seed is fixed.
    assert set(same.argmax(axis=1)) == set(range(65))


def test_evaluation_of_a_jpeg_is_that_of_its_pixels(photographs, encode):
    jpeg = encode(photographs[0], "JPEG")
    png = encode(decode(jpeg).numpy(), "PNG")
    np.testing.assert_array_equal(
        evaluation_image(jpeg, 224), evaluation_image(png, 224)
    )


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_training_image_is_a_function_of_its_position(photographs, encode, format):
    encoded = encode(photographs[1], format)
    light = AUGMENTATIONS["light"]
    images, again = (training_images(encoded, 64, light, 3) for _ in range(2))
    assert images.shape == (3, 64, 64, 3) and images.dtype == np.uint8
    np.testing.assert_array_equal(images, again)
    assert not np.array_equal(images[0], images[1])


def test_training_images_show_windows_of_the_source_and_half_are_flipped(encode):
    # Red grows to the right and green downwards, so corners tell window and flip.
    ramp = np.linspace(0, 255, 256)
    red, green = np.meshgrid(ramp, ramp)
    encoded = encode(np.stack([red, green, 0 * red], -1).astype("uint8"), "PNG")

    images = training_images(encoded, 16, AUGMENTATIONS["light"], 400).astype(int)
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


def test_small_images_are_enlarged(encode):
    tiny = encode(np.full((3, 5, 3), 200, "uint8"), "PNG")
    assert (training_images(tiny, 32, AUGMENTATIONS["light"], 1) == 200).all()
    assert (evaluation_image(tiny, 32).numpy() == 200).all()


CLOTHING = Path(__file__).parents[3] / "shared/data/clothing"


@pytest.mark.skipif(not CLOTHING.is_dir(), reason="extra photographs, not shipped")
def test_evaluation_equals_pillow_on_photographs_from_files():
    for path in sorted(CLOTHING.glob("val/*/*"))[::40]:
        image = evaluation_image(path.read_bytes(), 224).numpy()
        expected = pillow_evaluation(Image.open(path).convert("RGB"), 224)
        # The JPEG decoders differ by up to 4, resizing by 2 grey levels.
        assert np.abs(image.astype(int) - expected).max() <= 6


@pytest.mark.parametrize("shape", [(5000, 3), (3, 5000), (1, 5000), (5000, 1)])
def test_very_long_images_cost_no_more_than_others(encode, shape):
    """A column of 5,000 pixels was resized to 1,240,000 rows: over a gigabyte."""
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype="uint8")
    png = encode(Image.fromarray(pixels), "PNG")
    image = evaluation_image(png, 224).numpy()
    expected = evaluation_transform(Image.fromarray(pixels))
    assert np.abs(image.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("shape", [(170, 10), (10, 170)])
def test_long_images_are_as_if_all_was_resized(encode, monkeypatch, shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype="uint8")
    image = Image.fromarray(pixels)
    png = encode(image, "PNG")
    cut = evaluation_image(png, 64).numpy(), evaluation_transform(image, (64, 64))
    monkeypatch.setattr("keras_t2t.data.tensorflow_reader.resize.EXTREME", 1000)
    monkeypatch.setattr("keras_t2t.preprocessing.EXTREME", 1000)
    whole = evaluation_image(png, 64).numpy(), evaluation_transform(image, (64, 64))
    for one, other in zip(cut, whole, strict=True):
        # 2: each of two passes may round to the next grey level
        assert np.abs(one.astype(int) - other).max() <= 2
