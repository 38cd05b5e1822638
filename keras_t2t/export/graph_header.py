"""The header of an encoded image, read before anything is decoded; graph code."""

from typing import NamedTuple

import numpy as np

from keras_t2t._ground.images import MOST_PIXELS
from keras_t2t._ground.optional_imports import import_tensorflow

tf = import_tensorflow()

HEAD = 64  # bytes that hold all of this


class Format(NamedTuple):
    """Where a format keeps its width and height, each as (first byte, bytes)."""

    begins: bytes
    at: int  # byte where the file says what it is
    width: tuple
    height: tuple
    big_endian: bool = False
    shift: tuple = (0, 0)  # bits below the number
    bits: int = 32  # of the number
    plus: int = 0


# All but JPEG, which TensorFlow reads itself.
FORMATS = (
    Format(b"\x89PNG", 0, (16, 4), (20, 4), big_endian=True),
    Format(b"GIF8", 0, (6, 2), (8, 2)),
    Format(b"BM", 0, (18, 4), (22, 4)),
    Format(b"WEBPVP8X", 8, (24, 3), (27, 3), plus=1),
    Format(b"WEBPVP8 ", 8, (26, 2), (28, 2), bits=14),
    Format(b"WEBPVP8L", 8, (21, 4), (21, 4), shift=(0, 14), bits=14, plus=1),
)
# A palette that maps each index to its own grey: blue, green, red, unused.
GREYS = bytes(byte for grey in range(256) for byte in (grey, grey, grey, 0))


def _places(first, count, big_endian=False):
    """Which number of a head's bytes is the number that they hold, as its factors."""
    factors = np.zeros(HEAD)
    weights = 256.0 ** np.arange(count)
    factors[first : first + count] = weights[::-1] if big_endian else weights
    return factors


# One product reads them all: a branch per format would take seconds to build.
BMP_HEADER, BMP_BITS, BMP_COMPRESSION = (14, 4), (28, 2), (30, 4)
FACTORS = np.stack(
    [
        _places(first, count, row.big_endian)
        for row in FORMATS
        for first, count in (row.width, row.height)
    ]
    + [_places(*place) for place in (BMP_HEADER, BMP_BITS, BMP_COMPRESSION)]
)
SHIFTS = np.array([[2.0**bits for bits in row.shift] for row in FORMATS])
LIMITS = np.array([[2.0**row.bits] for row in FORMATS])
PLUS = np.array([[float(row.plus)] for row in FORMATS])
# What the head must be, and where it may be anything.
BEGINNINGS = np.zeros((len(FORMATS), HEAD))
FREE = np.ones((len(FORMATS), HEAD), bool)
for _i, _row in enumerate(FORMATS):
    _end = _row.at + len(_row.begins)
    BEGINNINGS[_i, _row.at : _end] = list(_row.begins)
    FREE[_i, _row.at : _end] = False
BMP = [row.begins for row in FORMATS].index(b"BM")


def check_header(encoded):
    """Refuses what would cost gigabytes, or be decoded wrongly.

    Args:
        encoded: scalar string, an image of any format; one that is none is let pass,
            and its decoder refuses it.

    Returns:
        The same bytes; whoever takes these waits for the check.

    Raises:
        tf.errors.InvalidArgumentError: the image has more than 178,956,970 pixels
            (Pillow's limit too), or is a BMP whose palette or compression TensorFlow
            does not read.
    """
    head = tf.io.decode_raw(
        tf.strings.substr(encoded, 0, HEAD), "uint8", fixed_length=HEAD
    )
    head = tf.cast(head, "float64")  # holds numbers of 32 bits
    is_format = tf.reduce_all((head == BEGINNINGS) | FREE, axis=1)
    numbers = tf.linalg.matvec(FACTORS, head)
    sides = tf.reshape(numbers[: 2 * len(FORMATS)], (-1, 2))
    sides = sides // SHIFTS % LIMITS + PLUS
    sides = tf.minimum(sides, 2.0**32 - sides)  # a BMP may be upside down
    pixels = tf.reduce_sum(tf.where(is_format, sides[:, 0] * sides[:, 1], 0.0))
    pixels = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.reduce_prod(
            tf.cast(tf.io.extract_jpeg_shape(encoded)[:2], "float64")
        ),
        lambda: pixels,
    )
    plain = ~is_format[BMP] | _is_plain_bmp(encoded, *tf.unstack(numbers[-3:]))
    checks = [
        tf.debugging.Assert(
            pixels <= MOST_PIXELS, [f"an image of more than {MOST_PIXELS:,} pixels"]
        ),
        tf.debugging.Assert(plain, ["a BMP with a palette of colours, or compressed"]),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(encoded)


def _is_plain_bmp(encoded, header, bits, compression):
    """Whether its pixels are colours or greys as they stand."""
    place = tf.minimum(14 + tf.cast(header, "int64"), 2**14)
    place = tf.minimum(place, tf.cast(tf.strings.length(encoded), "int64"))
    grey = tf.strings.substr(encoded, place, len(GREYS)) == GREYS
    known = (bits == 24) | (bits == 32) | ((bits == 8) & grey)
    return known & (compression == 0) & (header >= 40)
