"""Photographs are seen upright where that is asked for: all eight orientations."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from keras_t2t._ground.exif import orientation_of
from keras_t2t._ground.images import decode_rgb
from keras_t2t.preprocessing import evaluation_transform
from tests.photographs import ORIENTATIONS, oriented

pytestmark = pytest.mark.once


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_file_is_turned_as_pillow_turns_it(format, orientation):
    if format not in Image.registered_extensions().values():
        pytest.skip(f"this Pillow does not write {format}")
    content = oriented(orientation, format)
    whole = Image.open(io.BytesIO(content))
    expected = np.asarray(ImageOps.exif_transpose(whole).convert("RGB"))
    assert expected.shape == ((60, 40, 3) if 5 <= orientation <= 8 else (40, 60, 3))
    np.testing.assert_array_equal(decode_rgb(content, exif_orientation=True), expected)
    if format != "TIFF":  # which Pillow always turns
        stored = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
        np.testing.assert_array_equal(decode_rgb(content), stored)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_transform_turns_files_and_pillow_images_once(orientation, tmp_path):
    path = tmp_path / "photograph.jpg"
    path.write_bytes(oriented(orientation))
    upright = ImageOps.exif_transpose(Image.open(path))
    expected = evaluation_transform(upright, (24, 32))
    turned = decode_rgb(path.read_bytes(), exif_orientation=True)
    for image in (
        path,
        Image.open(path),
        Image.open(path).convert("RGB"),
        decode_rgb(path.read_bytes()),
        turned,  # is not turned again
        upright,
    ):
        found = evaluation_transform(image, (24, 32), exif_orientation=True)
        np.testing.assert_array_equal(found, expected)
    stored = Image.fromarray(np.asarray(Image.open(path)))
    stored = evaluation_transform(stored, (24, 32))
    np.testing.assert_array_equal(evaluation_transform(path, (24, 32)), stored)
    with pytest.raises(ValueError, match="`exif_orientation` must be True or False"):
        evaluation_transform(path, exif_orientation="yes")


def test_headers_of_all_kinds():
    def tiff(entries, order="<", count=None):
        mark = b"II*\0" if order == "<" else b"MM\0*"
        rows = b"".join(entries)
        count = len(entries) if count is None else count
        return mark + struct.pack(f"{order}IH", 8, count) + rows

    def entry(value, order="<", kind=3, tag=0x0112):
        form = {1: "B3x", 3: "H2x", 4: "I", 9: "i"}[kind]
        return struct.pack(f"{order}HHI{form}", tag, kind, 1, value)

    def jpeg(*segments):
        head = b"\xff\xd8"
        for marker, content in segments:
            head += b"\xff" + bytes([marker])
            head += struct.pack(">H", 2 + len(content)) + content
        return head + b"\xff\xda\0\x02pixels"

    def of(content):
        return orientation_of(io.BytesIO(content))

    exif = b"Exif\0\0"
    jfif = (0xE0, b"JFIF\0" + bytes(9))
    other = entry(5, tag=0x0100)
    assert of(jpeg((0xE1, exif + tiff([other, entry(6)])))) == 6
    assert of(jpeg(jfif, (0xE1, exif + tiff([entry(8, ">")], ">")))) == 8
    adobe = (0xE1, b"http://ns.adobe.com/")
    assert of(jpeg(adobe, (0xE1, exif + tiff([entry(3)])))) == 3
    for kind in (1, 4):
        assert of(jpeg((0xE1, exif + tiff([entry(7, kind=kind)])))) == 7
    filled = jpeg(jfif, (0xE1, exif + tiff([entry(6)])))
    assert of(filled.replace(b"\xff\xe1", b"\xff\xff\xff\xe1")) == 6
    for damaged in (
        jpeg((0xE1, exif + tiff([entry(0)]))),
        jpeg((0xE1, exif + tiff([entry(9)]))),
        jpeg((0xE1, exif + tiff([entry(6, kind=9)]))),
        jpeg((0xE1, exif + tiff([other], count=65535))),
        jpeg((0xE1, exif + b"II*\0\xff\xff\xff\xff\x01\0")),
        jpeg((0xE1, exif + b"PP*\0" + tiff([entry(6)])[4:])),
        jpeg((0xE1, exif)),
        jpeg(jfif),
        jpeg() + b"\xff\xe1" + exif + tiff([entry(6)]),  # after the pixels
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\0\0\0\0WEBPVP8X",
    ):
        assert of(damaged) == 1
    for foreign in (b"", b"GIF89a", b"BM", tiff([entry(6)])):
        assert of(foreign) is None
