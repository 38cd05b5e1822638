"""What an encoded image says of itself before it is decoded, in graph code, which a
SavedModel needs: its size, and EXIF's orientation as `keras_t2t._ground.exif` reads it.
"""

from typing import NamedTuple

import numpy as np

from keras_t2t._ground.exif import DOWN, EXIF, MOST_PARTS, SIDEWAYS, SWAPPED, TAG
from keras_t2t._ground.images import MOST_PIXELS
from keras_t2t._ground.optional_imports import import_tensorflow

tf = import_tensorflow()

NONE = np.int64(-1)  # instead of a place
HEAD = 64  # bytes that hold the size in every format


class Header(NamedTuple):
    """Where a format of images keeps its width and height, as (first byte, bytes)."""

    begins: bytes
    at: int  # byte where the file says what it is
    width: tuple
    height: tuple
    big: bool = False  # big-endian
    shift: tuple = (0, 0)  # bits below the number
    bits: int = 32  # of the number
    plus: int = 0


BMP = Header(b"BM", 0, (18, 4), (22, 4))
# All but JPEG, which TensorFlow reads itself.
HEADERS = (
    Header(b"\x89PNG", 0, (16, 4), (20, 4), big=True),
    Header(b"GIF8", 0, (6, 2), (8, 2)),
    BMP,
    Header(b"WEBPVP8X", 8, (24, 3), (27, 3), plus=1),
    Header(b"WEBPVP8 ", 8, (26, 2), (28, 2), bits=14),
    Header(b"WEBPVP8L", 8, (21, 4), (21, 4), shift=(0, 14), bits=14, plus=1),
)
# A palette that maps each index to its own grey: blue, green, red, unused.
GREYS = bytes(byte for grey in range(256) for byte in (grey, grey, grey, 0))


def check_header(encoded):
    """The bytes of an image, a scalar string; whoever takes these waits for the check.

    It refuses more than 178,956,970 pixels (Pillow's limit too), and a BMP whose
    palette or compression TensorFlow does not read. What is no image is let pass, and
    its decoder refuses it.
    """
    head = _bytes(encoded, 0, HEAD)
    # Without branches, which take long to build.
    pixels = tf.add_n([_pixels(head, row) for row in HEADERS])
    pixels = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.reduce_prod(
            tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], "float64")
        ),
        lambda: pixels,
    )
    readable = ~_is(head, BMP.begins) | _is_plain_bmp(encoded, head)
    checks = [
        tf.debugging.Assert(
            pixels <= MOST_PIXELS, [f"an image of more than {MOST_PIXELS:,} pixels"]
        ),
        tf.debugging.Assert(
            readable, ["a BMP with a palette of colours, or compressed"]
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(encoded)


def _pixels(head, row):
    """How many pixels an image of this format has, 0 for other formats."""
    pixels = tf.constant(1.0, "float64")
    for (first, count), shift in zip((row.width, row.height), row.shift, strict=True):
        side = _number(head[first : first + count], row.big)
        side = side // 2**shift % 2**row.bits
        # A BMP may be upside down: its height is then negative.
        side = tf.minimum(side, 2**32 - side) + row.plus
        pixels *= tf.cast(side, "float64")
    return tf.where(_is(head[row.at :], row.begins), pixels, 0)


def _is_plain_bmp(encoded, head):
    """Whether a BMP's pixels are colours or greys as they stand."""
    header, bits = _number(head[14:18]), _number(head[28:30])
    compression = _number(head[30:34])
    palette = _part(encoded, 14 + header, len(GREYS))
    known = (bits == 24) | (bits == 32) | ((bits == 8) & (palette == GREYS))
    return known & (compression == 0) & (header >= 40)


def orientation_of(encoded):
    """EXIF's orientation of a file's bytes, an int64 scalar, 1 to 8; 1, upright, where
    the header tells nothing."""
    head = _bytes(encoded, 0, 16)
    place = tf.case(
        [
            (_is(head, b"\xff\xd8\xff"), lambda: _found(encoded, 2, _jpeg)),
            (_is(head, b"\x89PNG\r\n\x1a\n"), lambda: _found(encoded, 8, _png)),
            (
                _is(head, b"RIFF") & _is(head[8:], b"WEBPVP8X"),
                lambda: _found(encoded, 12, _webp),
            ),
        ],
        default=lambda: tf.constant(NONE),
    )
    return tf.cond(
        place < 0, lambda: tf.constant(1, "int64"), lambda: _of_tiff(encoded, place)
    )


def turned(image, orientation):
    """An image (height, width, 3) as it is meant to be seen."""
    # Without branches, which take long to build.
    swapped = tf.where(_among(orientation, SWAPPED), (1, 0, 2), (0, 1, 2))
    down = tf.where(_among(orientation, DOWN), -1, 1)
    sideways = tf.where(_among(orientation, SIDEWAYS), -1, 1)
    image = tf.transpose(image, swapped)[::down, ::sideways]
    return tf.ensure_shape(image, (None, None, 3))


def _among(orientation, numbers):
    return tf.reduce_any(orientation == np.array(numbers))


# === Where the EXIF data begins ===
def _found(encoded, first, look):
    """The place of the EXIF data, or `NONE`, in a file whose parts begin at `first`.

    `look` maps the first 14 bytes of a part to how far the EXIF data is from there, and
    how far the next part is, each else `NONE`.
    """
    length = tf.strings.length(encoded)

    def searching(place, found, count):
        inside = (place >= 0) & (place < tf.cast(length, "int64"))
        return (found < 0) & inside & (count < MOST_PARTS)

    def step(place, found, count):
        exif, following = look(_bytes(encoded, place, 14))
        found = tf.where(exif < 0, NONE, place + exif)
        return tf.where(following < 0, NONE, place + following), found, count + 1

    start = tf.constant(first, "int64"), tf.constant(NONE), tf.constant(0)
    return tf.while_loop(searching, step, start)[1]


def _jpeg(head):
    begin, marker = head[0], head[1]
    length = 2 + _number(head[2:4], big=True)
    plain = (marker == 0x01) | ((marker >= 0xD0) & (marker <= 0xD8))
    length = tf.where(plain, np.int64(2), length)
    length = tf.where(marker == 0xFF, np.int64(1), length)
    ends = (begin != 0xFF) | (marker == 0xD9) | (marker == 0xDA)
    exif = ~ends & (marker == 0xE1) & _is(head[4:], EXIF)
    return tf.where(exif, np.int64(10), NONE), tf.where(ends, NONE, length)


def _png(head):
    exif, ends = _is(head[4:], b"eXIf"), _is(head[4:], b"IDAT") | _is(head[4:], b"IEND")
    length = 12 + _number(head[:4], big=True)
    return tf.where(exif, np.int64(8), NONE), tf.where(ends, NONE, length)


def _webp(head):
    length = _number(head[4:8])
    begins = tf.where(_is(head[8:], EXIF), np.int64(14), np.int64(8))
    exif = tf.where(_is(head, b"EXIF"), begins, NONE)
    return exif, 8 + length + length % 2


def _of_tiff(encoded, place):
    head = _bytes(encoded, place, 8)
    little = _is(head, b"II*\0")
    known = little | _is(head, b"MM\0*")

    def number(values):
        return tf.where(little, _number(values), _number(values, big=True))

    first = place + number(head[4:])
    count = number(_bytes(encoded, first, 2))
    whole = (tf.cast(tf.strings.length(encoded), "int64") - first - 2) // 12
    count = tf.clip_by_value(whole, 0, count)
    entries = tf.reshape(_numbers(_part(encoded, first + 2, 12 * count)), (-1, 12))
    entries = tf.concat([entries, tf.zeros((1, 12), "int64")], 0)
    is_tag = number(entries[:, :2]) == TAG
    entry = entries[tf.argmax(tf.cast(is_tag, "int32"))]
    values = [number(entry[8 : 8 + size]) for size in (1, 2, 4)]
    of_kind = number(entry[2:4]) == np.array([1, 3, 4])
    value = tf.reduce_sum(tf.where(of_kind, tf.stack(values), 0))
    valid = known & tf.reduce_any(is_tag) & (value >= 1) & (value <= 8)
    return tf.where(valid, value, 1)


def _bytes(encoded, first, count):
    """(count,) int64, zeros beyond the file's end."""
    part = tf.strings.join([_part(encoded, first, count), b"\0" * count])
    return tf.ensure_shape(_numbers(tf.strings.substr(part, 0, count)), (count,))


def _part(encoded, first, count):
    """At most so many bytes."""
    first, count = tf.cast(first, "int64"), tf.cast(count, "int64")
    first = tf.minimum(first, tf.cast(tf.strings.length(encoded), "int64"))
    return tf.strings.substr(encoded, first, count)


def _numbers(part):
    return tf.cast(tf.io.decode_raw(part, "uint8"), "int64")


def _is(head, text):
    return tf.reduce_all(head[: len(text)] == np.array(list(text)))


def _number(values, big=False):
    """The number that bytes (..., count) hold."""
    weights = 256 ** np.arange(values.shape[-1])
    return tf.reduce_sum(values * (weights[::-1] if big else weights), axis=-1)
