"""What a SavedModel sees of a file is what Pillow sees, whatever the file is called."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from keras_t2t._ground.exif import orientation_of as expected_orientation
from keras_t2t.export.graph_header import orientation_of
from keras_t2t.export.graph_image import decode, evaluation_image, tf
from keras_t2t.preprocessing import evaluation_transform
from tests.photographs import ORIENTATIONS, encode, oriented, upright

pytestmark = pytest.mark.once


# 91 wide: the rows of a BMP end in padding.
PHOTO = Image.fromarray(load_sample_image("china.jpg")).resize((91, 60))
ANIMATED = {"save_all": True, "append_images": [PHOTO.rotate(180)]}


@pytest.mark.parametrize(
    ("format", "mode", "options"),
    [
        ("JPEG", "RGB", {"quality": 95}),
        ("JPEG", "RGB", {"progressive": True}),
        *(("JPEG", mode, {}) for mode in ("L", "CMYK")),
        *(("PNG", mode, {}) for mode in ("RGB", "L", "P", "RGBA", "1")),
        *(("GIF", "P", options) for options in ({}, ANIMATED)),
        *(("BMP", mode, {}) for mode in ("RGB", "L", "RGBA")),
        *(("WEBP", mode, {"lossless": True}) for mode in ("RGB", "RGBA")),
    ],
)
def test_decode_equals_pillow(format, mode, options):
    encoded = encode(PHOTO.convert(mode), format, **options)
    image = decode(encoded).numpy()
    expected = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    assert image.dtype == np.uint8
    # JPEG decoders may round the inverse cosine transform and colours differently.
    tolerance = 4 if format == "JPEG" else 0
    assert np.abs(image.astype(int) - expected).max() <= tolerance


def test_16_bit_png_keeps_its_high_byte():
    grey = np.asarray(PHOTO.convert("L"))
    png = encode(grey.astype("uint16") * 257, "PNG")
    np.testing.assert_array_equal(decode(png), np.repeat(grey[..., None], 3, axis=-1))


@pytest.mark.parametrize(
    "content",
    [
        *(encode(PHOTO, format)[:700] for format in ("JPEG", "PNG")),
        *(b"no image at all", b"", encode(PHOTO, "TIFF")),
    ],
    ids=["cut jpeg", "cut png", "text", "empty", "tiff"],
)
def test_no_image_is_an_error(content):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(content)


def of_size(height, width):
    """The headers of images that would cost gigabytes; little or nothing follows."""
    big, little = (lambda n: n.to_bytes(4, "big")), (lambda n: n.to_bytes(4, "little"))
    png = b"\x89PNG\r\n\x1a\n" + big(13) + b"IHDR" + big(width) + big(height)
    small = encode(Image.new("RGB", (8, 8)), "JPEG")
    start, end = small.split(b"\x08\0\x08\0\x08")
    jpeg = start + b"\x08" + big(height)[2:] + big(width)[2:] + end
    canvas = little(width - 1)[:3] + little(height - 1)[:3]
    lossy = little(width)[:2] + little(height)[:2]
    lossless = little((width - 1) % 2**14 + (height - 1) % 2**14 * 2**14)
    upside_down = little(width) + little(2**32 - height)
    bmp = b"BM" + bytes(8) + little(54) + little(40) + upside_down + b"\1\0\x18\0"
    webp = b"RIFF" + bytes(4) + b"WEBPVP8"
    return {
        "png": png + b"\x08\x02\0\0\0" + bytes(40),
        "jpeg": jpeg,
        "gif": b"GIF89a" + lossy + bytes(60),
        "bmp": bmp + bytes(40),
        "webp": webp + b"X" + bytes(8) + canvas + bytes(40),
        "lossy webp": webp + b" " + bytes(10) + lossy + bytes(40),
        "lossless webp": webp + b"L" + bytes(5) + lossless + bytes(40),
    }


@pytest.mark.parametrize("name", of_size(1, 1))
def test_too_many_pixels_are_refused_by_the_header(name):
    bomb = of_size(13_000, 16_000)[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than 178,956,970"):
        decode(bomb)
    try:
        decode(of_size(50, 60)[name])
    except tf.errors.InvalidArgumentError as error:  # its decoder's
        assert "178,956,970" not in str(error)


@pytest.mark.parametrize(("mode", "colours"), [("P", 256), ("P", 16), ("1", 2)])
def test_a_bmp_with_a_palette_of_colours_is_refused(mode, colours):
    """TensorFlow takes its indices for greys."""
    bmp = encode(PHOTO.quantize(colours).convert(mode), "BMP")
    with pytest.raises(tf.errors.InvalidArgumentError, match="BMP with a palette"):
        decode(bmp)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_it_is_turned_as_by_pillow(format):
    tolerance = 4 if format == "JPEG" else 0
    options = {"lossless": True} if format == "WEBP" else {}
    turned = tf.function(lambda encoded: decode(encoded, exif_orientation=True))
    for orientation in (*ORIENTATIONS, 0, 9):
        content = oriented(orientation, format, **options)
        expected = upright(content).astype(int)
        found = turned(tf.constant(content)).numpy()
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= tolerance, orientation
        stored = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), int)
        assert np.abs(decode(content).numpy() - stored).max() <= tolerance


def test_any_header_is_read_as_python_reads_it():
    random = np.random.default_rng(0)
    read = tf.function(orientation_of, input_signature=[tf.TensorSpec((), tf.string)])
    contents = [b"", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBPVP8X"]
    for format in ("JPEG", "PNG", "WEBP"):
        whole = oriented(6, format)
        contents += [whole[:end] for end in range(0, 140, 3)]
        for _ in range(100):
            bent = np.frombuffer(whole, "uint8").copy()
            bent[random.integers(0, 120, 3)] = random.integers(0, 256, 3)
            contents.append(bent.tobytes())
        contents += [oriented(i, format) for i in ORIENTATIONS]
    for content in contents:
        expected = expected_orientation(io.BytesIO(content)) or 1
        assert read(tf.constant(content)).numpy() == expected, content[:150]


@pytest.mark.parametrize("size", [(32, 32), (224, 224), (96, 128)])
@pytest.mark.parametrize("shape", [(427, 640), (427, 301), (100, 101), (60, 33)])
def test_evaluation_equals_pillow(size, shape):
    for name in ("china.jpg", "flower.jpg"):
        photo = Image.fromarray(load_sample_image(name)[: shape[0], : shape[1]])
        for crop, method in ((0.9, "bicubic"), (1.0, "bilinear")):
            check_evaluation(photo, size, crop, method)


def check_evaluation(image, size, *settings):
    found = evaluation_image(encode(image, "PNG"), size, *settings).numpy()
    assert found.shape == (*size, 3) and found.dtype == np.uint8
    expected = evaluation_transform(image, size, *settings)
    # Two grey levels: Pillow rounds to integers between its two passes.
    assert np.abs(found.astype(int) - expected).max() <= 2


def noise(shape):
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype="uint8")
    return Image.fromarray(pixels)


@pytest.mark.parametrize("shape", [(5000, 3), (3, 5000), (1, 5000), (5000, 1)])
def test_very_long_images_cost_no_more_than_others(shape):
    """A column of 5,000 pixels was resized to 1,240,000 rows: over a gigabyte."""
    check_evaluation(noise(shape), (224, 224))


@pytest.mark.parametrize("shape", [(170, 10), (10, 170)])
def test_long_images_are_as_if_all_was_resized(monkeypatch, shape):
    """By Pillow, which the graph is compared with above."""
    cut = evaluation_transform(noise(shape), (64, 64))
    monkeypatch.setattr("keras_t2t.preprocessing.EXTREME", 1000)
    whole = evaluation_transform(noise(shape), (64, 64))
    # 2: each of two passes may round to the next grey level
    assert np.abs(cut.astype(int) - whole).max() <= 2
