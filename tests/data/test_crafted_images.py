"""Image files made to mislead: the picture they hold, or one line of ours."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from benchmarks.fuzz import is_clear
from benchmarks.fuzz_surfaces import batched, transformed, write_images
from keras_t2t._ground.images import decode_rgb
from tests.photographs import encode

READERS = [
    "evaluation_transform",
    "grain",
    pytest.param("tensorflow", marks=pytest.mark.nightly),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """{format: bytes} of one picture of 64 x 48 pixels."""
    paths = write_images(tmp_path_factory.mktemp("sound"), HEADERS)
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


# How each format's header holds its sides of 64 x 48, a JPEG's the height first.
HEADERS = {"jpeg": (">HH", 48, 64), "png": (">II", 64, 48)}


def of_size(side, name):
    """Function of the sound files: one whose header tells another size."""

    def change(sound):
        form, *sides = HEADERS[name]
        before, told, after = sound[name].partition(struct.pack(form, *sides))
        assert told
        data = before + struct.pack(form, side, side) + after
        if name == "png":
            data = data[:29] + struct.pack(">I", zlib.crc32(data[12:29])) + data[33:]
        return data

    return change


SIDES = {"png": (0, 50_000, 2**31 - 1), "jpeg": (0, 65_500)}
# Bytes, or a function of the sound files.
REFUSED = {
    "nothing": b"",
    "zeros": bytes(1000),
    "an SVG of entities": b'<!DOCTYPE x [<!ENTITY a "aaaa">]><svg>&a;&a;</svg>',
    "a PostScript program": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n"
        b"(code-was-run) (w) file closefile showpage\n%%EOF\n"
    ),
    "a pickle": b"\x80\x02cos\nsystem\n(S'touch code-was-run'\ntR.",
    "32-bit TIFF": encode(np.ones((48, 64), "int32"), "TIFF"),
    "TIFF of floats": encode(np.ones((48, 64), "float32"), "TIFF"),
    "PNG with a wrong checksum": lambda sound: sound["png"].replace(b"IDAT", b"IDAT\0"),
    "a PNG header alone": lambda sound: sound["png"][:33],
    "a JPEG header alone": lambda sound: sound["jpeg"][:20],
    **{
        f"{name} of {side:,} squared": of_size(side, name)
        for name, sides in SIDES.items()
        for side in sides
    },
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_picture(reader, case, sound, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = REFUSED[case]
    with pytest.raises((ValueError, OSError)) as caught:
        read(tmp_path / "images", reader, data(sound) if callable(data) else data)
    assert is_clear(caught.value), caught.value
    assert not (tmp_path / "code-was-run").exists()


def test_16_bits_are_reduced_to_the_high_byte():
    """Pillow alone would make it all white."""
    grey = np.random.default_rng(0).integers(0, 2**16, (48, 64))
    grey[0, :4] = 0, 255, 256, 65_535
    for name, type, mode in (
        ("TIFF", "<u2", "I;16"),
        ("TIFF", ">u2", "I;16B"),
        ("PNG", "<u2", "I;16"),
        ("PPM", "<u2", "I"),
    ):
        content = encode(grey.astype(type), name)
        assert Image.open(io.BytesIO(content)).mode == mode
        pixels = np.asarray(decode_rgb(content))
        np.testing.assert_array_equal(pixels, np.stack([grey >> 8] * 3, axis=-1))


@pytest.mark.parametrize("rest", [b"text" * 100, b"PK\x05\x06" + bytes(18)])
@pytest.mark.parametrize("reader", ["evaluation_transform", "grain"])
def test_a_jpeg_and_something_after_it(reader, rest, sound, tmp_path):
    expected = read(tmp_path / "whole", reader, sound["jpeg"])
    assert read(tmp_path / "odd", reader, sound["jpeg"] + rest) == expected
