"""Every format is decoded as Pillow decodes it, whatever its file is called."""

import io

import numpy as np
import pytest
from PIL import Image

from keras_t2t.data.tensorflow_reader.decode import decode, decode_window, tf


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


def of_size(height, width):
    """The headers of images that would cost gigabytes; little or nothing follows."""
    big, little = (lambda n: n.to_bytes(4, "big")), (lambda n: n.to_bytes(4, "little"))
    png = b"\x89PNG\r\n\x1a\n" + big(13) + b"IHDR" + big(width) + big(height)
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG")
    start, end = file.getvalue().split(b"\x08\0\x08\0\x08")
    jpeg = start + b"\x08" + big(height)[2:] + big(width)[2:] + end
    canvas = little(width - 1)[:3] + little(height - 1)[:3]
    lossy = little(width)[:2] + little(height)[:2]
    lossless = little((width - 1) % 2**14 + (height - 1) % 2**14 * 2**14)
    return {
        "png": png + b"\x08\x02\0\0\0" + bytes(40),
        "jpeg": jpeg,
        "gif": b"GIF89a" + lossy + bytes(60),
        "bmp": b"BM"
        + bytes(8)
        + little(54)
        + little(40)
        + little(width)
        # upside down
        + little(2**32 - height)
        + b"\1\0\x18\0"
        + bytes(40),
        "webp": b"RIFF" + bytes(4) + b"WEBPVP8X" + bytes(8) + canvas + bytes(40),
        "lossy webp": b"RIFF" + bytes(4) + b"WEBPVP8 " + bytes(10) + lossy + bytes(40),
        "lossless webp": b"RIFF"
        + bytes(4)
        + b"WEBPVP8L"
        + bytes(5)
        + lossless
        + bytes(40),
    }


@pytest.mark.parametrize("name", of_size(1, 1))
def test_too_many_pixels_are_told_from_the_header(name):
    bomb = of_size(13_000, 16_000)[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 178,956,970"):
        decode(bomb)
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 178,956,970"):
        decode_window(bomb, lambda height, width: (0, 0, 1, 1))
    try:
        decode(of_size(50, 60)[name])
    except tf.errors.InvalidArgumentError as error:  # its decoder's
        assert "178,956,970" not in str(error)


@pytest.mark.parametrize(("mode", "colours"), [("P", 256), ("P", 16), ("1", 2)])
def test_a_bmp_with_a_palette_of_colours_is_refused(photographs, encode, mode, colours):
    """TensorFlow takes its indices for greys."""
    bmp = encode(Image.fromarray(photographs[0]).quantize(colours).convert(mode), "BMP")
    with pytest.raises(tf.errors.InvalidArgumentError, match="BMP with a palette"):
        decode(bmp)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_other_bmps_equal_pillow(photographs, encode, mode):
    bmp = encode(Image.fromarray(photographs[0][:9, :7]).convert(mode), "BMP")
    expected = Image.open(io.BytesIO(bmp)).convert("RGB")
    np.testing.assert_array_equal(decode(bmp), expected)
