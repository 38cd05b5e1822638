"""What is cut out of an encoded image, and how it is put into the model's square.

Python reads the header and decides, so that the graph is small. TensorFlow decodes that
part of a JPEG and no more, and resizes it. Other formats are decoded by Pillow.
"""

import functools
import io
import math
from typing import Any, NamedTuple

import numpy as np

from keras_t2t._ground.exif import DOWN, SIDEWAYS, SWAPPED
from keras_t2t._ground.images import Encoded
from keras_t2t._ground.optional_imports import import_tensorflow
from keras_t2t._ground.types import Array
from keras_t2t.data.draws.crop import crop_window, padded_corner
from keras_t2t.preprocessing import covering, reduction

tf = import_tensorflow()

KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic"}
# Of JPEGs: Pillow's inverse cosine transform. TensorFlow's default is coarser (10 grey
# levels off) and was no faster when measured.
JPEG = {"channels": 3, "dct_method": "INTEGER_ACCURATE"}


class Cut(NamedTuple):
    """A part of an image, to be resized, then turned."""

    jpeg: Any  # bytes of the file, empty where the part is decoded already
    pixels: Array  # (height, width, 3) uint8, the part; of no pixels for a JPEG
    window: Array  # (4,) int32: top, left, height, width, once it is reduced
    reduction: Array  # () int32: a JPEG is decoded to 1 / 2^reduction of its size
    scale: Array  # (2,) float32, resized over old height and width
    shift: Array  # (2,) float32, where the part begins in the square, in pixels
    axes: Array  # (3,) int32, the order of height, width and channels
    steps: Array  # (2,) int32, -1 to mirror upside down and sideways, else 1


BLACK = Cut(
    b"",
    np.zeros((1, 1, 3), "uint8"),
    np.zeros(4, "int32"),
    np.int32(0),
    np.ones(2, "float32"),
    np.zeros(2, "float32"),
    np.arange(3, dtype="int32"),
    np.ones(2, "int32"),
)


class Side(NamedTuple):
    """A `Cut` along the height or the width."""

    first: int
    length: int
    scale: float
    shift: float


def cut_of(encoded, draws, asked, exif_orientation, reduced):
    """What is shown of the bytes of an image file, by what was drawn, as a `Training`
    or `Validation` asks."""
    image = Encoded(io.BytesIO(encoded), exif_orientation=exif_orientation)
    rows, columns = _sides(image.size[::-1], draws, asked)
    flip = -1 if draws.flipped else 1
    if not image.is_jpeg:
        right, bottom = columns.first + columns.length, rows.first + rows.length
        part = image.decode()[0].crop((columns.first, rows.first, right, bottom))
        steps = np.array([1, flip], "int32")
        return _cut(rows, columns, pixels=np.asarray(part), steps=steps)
    turn, size = image.orientation, asked.image_size
    swapped, down, sideways = turn in SWAPPED, turn in DOWN, turn in SIDEWAYS
    rows = _mirrored(rows, image.size[1], size) if down else rows
    columns = _mirrored(columns, image.size[0], size) if sideways else columns
    stored = (columns, rows) if swapped else (rows, columns)
    times = 1
    if reduced or not asked.augmentation.crops_centre:
        times = reduction([1 / side.scale for side in stored], (1, 1))
    return _cut(
        *(_reduced(side, times) for side in stored),
        jpeg=encoded,
        reduction=np.int32(times.bit_length() - 1),
        pixels=BLACK.pixels[:0],
        axes=np.array((1, 0, 2) if swapped else (0, 1, 2), "int32"),
        steps=np.array([-1 if down else 1, -flip if sideways else flip], "int32"),
    )


def _sides(size, draws, asked):
    """Of an image of this height and width the `Side`s that are shown."""
    image_size, augmentation = asked.image_size, asked.augmentation
    if augmentation.crop_scale:
        ranges = augmentation.crop_scale, augmentation.crop_ratio
        top, left, height, width = crop_window(*size, draws.crop, *ranges)
        return [
            Side(first, length, image_size / length, 0.0)
            for first, length in ((top, height), (left, width))
        ]
    if augmentation.crop_padding:
        resized = covering(size[::-1], (image_size, image_size))[::-1]
        padding = int(image_size * augmentation.crop_padding)
        offsets = padded_corner(*resized, image_size, padding, draws.crop)
    else:
        least = math.floor(image_size / asked.crop)
        resized = covering(size[::-1], (least, least))[::-1]
        # torchvision rounds the offset, halves to even.
        offsets = [round((side - image_size) / 2) for side in resized]
    return _placed(size, resized, offsets, image_size)


def _cut(rows, columns, **others):
    firsts, lengths, scales, shifts = zip(rows, columns, strict=True)
    return BLACK._replace(
        window=np.array([*firsts, *lengths], "int32"),
        scale=np.array(scales, "float32"),
        shift=np.array(shifts, "float32"),
        **others,
    )


def _reduced(side, times):
    """The same part of an image decoded smaller, extended to whole pixels."""
    first = side.first // times
    end = -(-(side.first + side.length) // times)
    shift = side.shift - (side.first - first * times) * side.scale
    return Side(first, end - first, side.scale * times, shift)


def _mirrored(side, whole, image_size):
    """The same part of the mirrored image."""
    return side._replace(
        first=whole - side.first - side.length,
        shift=image_size - side.shift - side.scale * side.length,
    )


def _placed(size, resized, offsets, image_size):
    """A square of an image, once it is resized, which may lie partly outside."""
    sides = []
    for length, new_length, offset in zip(size, resized, offsets, strict=True):
        scale = new_length / length
        reach = 2 * max(1 / scale, 1) + 1  # of the cubic filter
        first = max(math.floor(offset / scale - reach), 0)
        end = min(math.ceil((offset + image_size) / scale + reach), length)
        sides.append(Side(first, end - first, scale, first * scale - offset))
    return sides


def pixels(cut, image_size, method):
    """Decode, resize with antialias and turn what a `Cut` says: (image_size,
    image_size, 3) float32 in 0..255, not rounded. A JPEG that cannot be decoded is an
    InvalidArgumentError."""

    def decode(ratio):
        return tf.io.decode_and_crop_jpeg(cut.jpeg, cut.window, ratio=ratio, **JPEG)

    reductions = [functools.partial(decode, ratio) for ratio in (1, 2, 4, 8)]
    image = tf.cond(
        tf.strings.length(cut.jpeg) > 0,
        lambda: tf.switch_case(tf.convert_to_tensor(cut.reduction), reductions),
        lambda: cut.pixels,
    )
    image = tf.raw_ops.ScaleAndTranslate(
        images=image[None],
        size=(image_size, image_size),
        scale=cut.scale,
        translation=cut.shift,
        kernel_type=KERNELS[method],
        antialias=True,
    )
    image = tf.clip_by_value(image[0], 0, 255)  # which bicubic overshoots
    image = tf.transpose(image, cut.axes)[:: cut.steps[0], :: cut.steps[1]]
    return tf.ensure_shape(image, (image_size, image_size, 3))
