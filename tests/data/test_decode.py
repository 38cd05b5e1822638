"""Every format is decoded as Pillow decodes it, whatever its file is called."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_t2t.data.decode import decode, decode_window, tf


@pytest.fixture(scope="module")
def encoded(photographs, encode):
    photo = Image.fromarray(photographs[0]).resize((90, 60))
    grey = photo.convert("L")
    return {
        "colour jpeg": encode(photo, "JPEG", quality=95),
        "progressive jpeg": encode(photo, "JPEG", progressive=True),
        "grey jpeg": encode(grey, "JPEG"),
        "cmyk jpeg": encode(photo.convert("CMYK"), "JPEG"),
        "png": encode(photo, "PNG"),
        "grey png": encode(grey, "PNG"),
        "palette png": encode(photo.convert("P"), "PNG"),
        "rgba png": encode(photo.convert("RGBA"), "PNG"),
        "1-bit png": encode(photo.convert("1"), "PNG"),
        "gif": encode(photo.convert("P"), "GIF"),
        "animated gif": encode(
            photo.convert("P"),
            "GIF",
            save_all=True,
            append_images=[photo.rotate(180).convert("P")],
        ),
        "bmp": encode(photo, "BMP"),
        "webp": encode(photo, "WEBP", lossless=True),
        "rgba webp": encode(photo.convert("RGBA"), "WEBP", lossless=True),
    }


FORMATS = [
    *("colour jpeg", "progressive jpeg", "grey jpeg", "cmyk jpeg", "png", "grey png"),
    *("palette png", "rgba png", "1-bit png", "gif", "animated gif", "bmp", "webp"),
    "rgba webp",
]


@pytest.mark.parametrize("name", FORMATS)
def test_decode_equals_pillow(encoded, name):
    image = decode(encoded[name]).numpy()
    expected = np.asarray(Image.open(io.BytesIO(encoded[name])).convert("RGB"))
    assert image.dtype == np.uint8
    # JPEG decoders may round the inverse cosine transform and colours differently.
    tolerance = 4 if "jpeg" in name else 0
    assert np.abs(image.astype(int) - expected).max() <= tolerance


def test_16_bit_png_keeps_its_high_byte(photographs, encode):
    grey = photographs[0][:40, :50, 0]
    png = encode(Image.fromarray(grey.astype("uint16") * 257), "PNG")
    np.testing.assert_array_equal(decode(png), np.repeat(grey[..., None], 3, axis=-1))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("window", [(0, 0, 60, 90), (7, 11, 30, 41), (59, 89, 1, 1)])
def test_window_equals_decode_then_crop(encoded, name, window):
    sizes = []

    def choose(height, width):
        sizes.append((int(height), int(width)))
        return window

    top, left, height, width = window
    expected = decode(encoded[name]).numpy()[top : top + height, left : left + width]
    image = decode_window(encoded[name], choose).numpy()
    assert sizes == [(60, 90)]
    np.testing.assert_array_equal(image[:, :-1], expected[:, :-1])
    # JPEG's colours are smoothed towards the next column, which a window lacks.
    assert np.abs(image.astype(int) - expected).max() <= 2


@pytest.mark.parametrize("content", ["cut jpeg", "cut png", "text", "empty", "tiff"])
def test_no_image_is_an_error(encoded, encode, photographs, content):
    content = {
        "cut jpeg": encoded["colour jpeg"][:700],
        "cut png": encoded["png"][:700],
        "text": b"no image at all",
        "empty": b"",
        "tiff": encode(photographs[0][:40, :40], "TIFF"),
    }[content]
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(content)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_window(content, lambda height, width: (0, 0, height, width))
