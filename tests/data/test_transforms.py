"""Evaluation equals the Pillow pipeline; training is a crop, a resize and a flip."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_t2t.data.decode import decode, tf
from keras_t2t.data.transforms import evaluation_image, training_image


def pillow_evaluation(image, image_size):
    """torchvision's Resize(bicubic) and CenterCrop on a Pillow image."""
    short = int(image_size / 0.9)
    width, height = image.size
    if width <= height:
        size = short, int(short * height / width)
    else:
        size = int(short * width / height), short
    image = image.resize(size, Image.BICUBIC)
    left = round((size[0] - image_size) / 2)
    top = round((size[1] - image_size) / 2)
    image = image.crop((left, top, left + image_size, top + image_size))
    return np.asarray(image).astype(int)


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


def test_evaluation_of_a_jpeg_is_that_of_its_pixels(photographs, encode):
    jpeg = encode(photographs[0], "JPEG")
    png = encode(decode(jpeg).numpy(), "PNG")
    np.testing.assert_array_equal(
        evaluation_image(jpeg, 224), evaluation_image(png, 224)
    )


@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_training_image_is_a_function_of_its_seed(photographs, encode, format):
    encoded = encode(photographs[1], format)
    first, again, other = (
        training_image(encoded, 64, seed=(0, number)).numpy() for number in (1, 1, 2)
    )
    assert first.shape == (64, 64, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_training_images_show_windows_of_the_source_and_half_are_flipped(encode):
    # Red grows to the right and green downwards, so corners tell window and flip.
    ramp = np.linspace(0, 255, 256)
    red, green = np.meshgrid(ramp, ramp)
    encoded = encode(np.stack([red, green, 0 * red], -1).astype("uint8"), "PNG")

    @tf.function
    def crops():
        return tf.map_fn(
            lambda number: training_image(encoded, 16, seed=(7, number)),
            tf.range(400),
            fn_output_signature="uint8",
        )

    images = crops().numpy().astype(int)
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
    assert (training_image(tiny, 32, seed=(0, 0)).numpy() == 200).all()
    assert (evaluation_image(tiny, 32).numpy() == 200).all()


CLOTHING = Path(__file__).parents[3] / "shared/data/clothing"


@pytest.mark.skipif(not CLOTHING.is_dir(), reason="extra photographs, not shipped")
def test_evaluation_equals_pillow_on_photographs_from_files():
    for path in sorted(CLOTHING.glob("val/*/*"))[::40]:
        image = evaluation_image(path.read_bytes(), 224).numpy()
        expected = pillow_evaluation(Image.open(path).convert("RGB"), 224)
        # The JPEG decoders differ by up to 4, resizing by 2 grey levels.
        assert np.abs(image.astype(int) - expected).max() <= 6
