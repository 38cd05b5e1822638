"""Image files made to mislead: the picture they hold, or one line of ours."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from benchmarks.fuzz import is_clear
from benchmarks.fuzz_surfaces import batched, transformed, write_images

READERS = [
    "evaluation_transform",
    "grain",
    pytest.param("tensorflow", marks=pytest.mark.nightly),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """{format: bytes} of one picture of 64 x 48 pixels."""
    kinds = "jpeg", "png", "gif", "bmp", "webp"
    paths = write_images(tmp_path_factory.mktemp("sound"), kinds)
    return {path.name: path.read_bytes() for path in paths}


def read(folder, reader, data):
    """The pixels that a reader gives, as bytes."""
    folder.mkdir()
    if reader == "evaluation_transform":
        _, use = transformed(folder, ["jpeg"])
    else:
        _, use = batched(folder, ["jpeg"], reader)
    (folder / "image").write_bytes(data)
    return use(folder / "image")


def says(name, width, height):
    """Function of the sound files: one whose header tells another size."""

    def change(sound):
        data = bytearray(sound[name])
        if name == "jpeg":
            at = data.index(b"\xff\xc0") + 5
            data[at : at + 4] = struct.pack(">HH", height, width)
        elif name == "gif":
            data[6:10] = struct.pack("<HH", width, height)
            at = data.index(b",", 10 + 3 * 256)  # the frame's own
            data[at + 5 : at + 9] = struct.pack("<HH", width, height)
        elif name == "bmp":
            data[18:26] = struct.pack("<ii", width, height)
        elif name == "webp":
            at = data.index(b"\x9d\x01\x2a") + 3
            data[at : at + 4] = struct.pack("<HH", width, height)
        else:
            header = b"IHDR" + struct.pack(">II", width, height) + bytes(data[24:29])
            data[12:33] = header + struct.pack(">I", zlib.crc32(header))
        return bytes(data)

    return change


def of_mode(mode):
    def make(sound):
        Image.fromarray(np.ones((48, 64), mode)).save(file := io.BytesIO(), "TIFF")
        return file.getvalue()

    return make


REFUSED = {
    "nothing": lambda sound: b"",
    "one byte": lambda sound: b"\xff",
    "zeros": lambda sound: bytes(1000),
    "text": lambda sound: b"no image\n" * 100,
    "a web page": lambda sound: b"<!DOCTYPE html><html><body>404</body></html>",
    "an SVG of entities": lambda sound: (
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><svg>&a;&a;</svg>'
    ),
    "a PDF": lambda sound: b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n",
    "a PostScript program": lambda sound: (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n"
        b"(code-was-run) (w) file closefile showpage\n%%EOF\n"
    ),
    "a pickle": lambda sound: b"\x80\x02cos\nsystem\n(S'touch code-was-run'\ntR.",
    "a zip": lambda sound: b"PK\x05\x06" + bytes(18),
    "PNG of 2**31 - 1 squared": says("png", 2**31 - 1, 2**31 - 1),
    "PNG of 50,000 squared": says("png", 50_000, 50_000),
    "PNG of 0 x 0": says("png", 0, 0),
    "JPEG of 65,500 squared": says("jpeg", 65_500, 65_500),
    "JPEG of 0 x 0": says("jpeg", 0, 0),
    "GIF of 65,535 squared": says("gif", 65_535, 65_535),
    "BMP of 50,000 squared": says("bmp", 50_000, 50_000),
    "BMP of 2**31 - 1": says("bmp", 2**31 - 1, 2**31 - 1),
    "WebP of 16,383 squared": says("webp", 16_383, 16_383),
    "32-bit TIFF": of_mode("int32"),
    "TIFF of floats": of_mode("float32"),
    "PNG with a wrong checksum": lambda sound: sound["png"].replace(
        b"IDAT", b"IDAT\0", 1
    ),
    "a PNG header alone": lambda sound: sound["png"][:33],
    "a JPEG header alone": lambda sound: sound["jpeg"][:20],
}
READ = {
    "a JPEG and then text": lambda sound: sound["jpeg"] + b"text" * 100,
    "a JPEG and then a zip": lambda sound: sound["jpeg"] + b"PK\x05\x06" + bytes(18),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_picture(reader, case, sound, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, OSError)) as caught:
        read(tmp_path / "images", reader, REFUSED[case](sound))
    assert is_clear(caught.value), caught.value
    assert not (tmp_path / "code-was-run").exists()


@pytest.mark.parametrize("case", READ)
@pytest.mark.parametrize("reader", ["evaluation_transform", "grain"])
def test_what_is_one(reader, case, sound, tmp_path):
    expected = read(tmp_path / "whole", reader, sound["jpeg"])
    assert read(tmp_path / "odd", reader, READ[case](sound)) == expected
