"""Photographs are seen upright where that is asked for: all eight orientations."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from keras_t2t._ground.exif import orientation_of
from keras_t2t._ground.images import decode_rgb
from keras_t2t.preprocessing import evaluation_transform
from tests.photographs import ORIENTATIONS, oriented, upright

pytestmark = pytest.mark.once


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_file_is_turned_as_pillow_turns_it(format, orientation):
    if format not in Image.registered_extensions().values():
        pytest.skip(f"this Pillow does not write {format}")
    content = oriented(orientation, format)
    expected = upright(content)
    assert expected.shape == ((60, 40, 3) if 5 <= orientation <= 8 else (40, 60, 3))
    np.testing.assert_array_equal(decode_rgb(content, exif_orientation=True), expected)
    if format != "TIFF":  # which Pillow always turns
        stored = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        np.testing.assert_array_equal(decode_rgb(content), stored)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_transform_turns_files_and_pillow_images_once(orientation, tmp_path):
    path = tmp_path / "photograph.jpg"
    path.write_bytes(content := oriented(orientation))
    expected = evaluation_transform(Image.fromarray(upright(content)), (24, 32))
    turned = decode_rgb(content, exif_orientation=True)  # is not turned again
    stored = Image.open(path), Image.open(path).convert("RGB"), decode_rgb(content)
    for image in (path, *stored, turned):
        found = evaluation_transform(image, (24, 32), exif_orientation=True)
        np.testing.assert_array_equal(found, expected)
    stored = Image.fromarray(np.asarray(Image.open(path)))
    stored = evaluation_transform(stored, (24, 32))
    np.testing.assert_array_equal(evaluation_transform(path, (24, 32)), stored)
    with pytest.raises(ValueError, match="`exif_orientation` must be True or False"):
        evaluation_transform(path, exif_orientation="yes")


def test_headers_of_all_kinds():
    def tiff(*values, order="<", kind=3, tag=0x0112, count=None):
        content = b"II*\0" if order == "<" else b"MM\0*"
        content += struct.pack(f"{order}IH", 8, count or len(values))
        form = {1: "B3x", 3: "H2x", 4: "I", 9: "i"}[kind]
        for place, value in enumerate(values, 1 - len(values)):  # the last of this tag
            content += struct.pack(f"{order}HHI{form}", tag + place, kind, 1, value)
        return content

    def jpeg(*segments):
        head = b"\xff\xd8"
        for marker, content in segments:
            head += b"\xff" + bytes([marker])
            head += struct.pack(">H", 2 + len(content)) + content
        return head + b"\xff\xda\0\x02pixels"

    def exif(content):
        return 0xE1, b"Exif\0\0" + content

    jfif, adobe = (0xE0, b"JFIF\0" + bytes(9)), (0xE1, b"http://ns.adobe.com/")
    six = tiff(6)
    filled = jpeg(jfif, exif(six)).replace(b"\xff\xe1", b"\xff\xff\xff\xe1")
    damaged = (
        jpeg(exif(tiff(0))),
        jpeg(exif(tiff(9))),
        jpeg(exif(tiff(6, kind=9))),
        jpeg(exif(tiff(5, tag=0x0100, count=65535))),
        jpeg(exif(b"II*\0\xff\xff\xff\xff\x01\0")),
        jpeg(exif(b"PP*\0" + six[4:])),
        jpeg(exif(b"")),
        jpeg(jfif),
        jpeg() + b"\xff\xe1Exif\0\0" + six,  # after the pixels
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBPVP8X",
    )
    foreign = b"", b"GIF89a", b"BM", six
    for content, expected in {
        jpeg(exif(tiff(5, 6))): 6,
        jpeg(jfif, exif(tiff(8, order=">"))): 8,
        jpeg(adobe, exif(tiff(3))): 3,
        jpeg(exif(tiff(7, kind=1))): 7,
        jpeg(exif(tiff(7, kind=4))): 7,
        filled: 6,
        **dict.fromkeys(damaged, 1),
        **dict.fromkeys(foreign),
    }.items():
        assert orientation_of(io.BytesIO(content)) == expected
