"""Image files through Pillow: correct pixels, or one error that names the file."""

import functools
import io
import os
import stat

from keras_t2t._ground.arguments import escaped, shown
from keras_t2t._ground.exif import TAG, UPRIGHT, orientation_of, turned
from keras_t2t._ground.optional_imports import import_pillow

MOST_PIXELS = 178_956_970  # checked before decoding; Pillow's own limit


def open_rgb(path, exif_orientation=False):
    """The image in a file.

    Args:
        path: an image file in any format that Pillow reads.
        exif_orientation: bool, whether to turn it as its EXIF data says. Photographs
            need that, since cameras only record how they were held; torchvision does
            not do it. Pillow always turns a TIFF.

    Returns:
        A `PIL.Image.Image` of mode RGB.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if it is no image that Pillow reads, is cut off, has more than
            178,956,970 pixels, or 32-bit pixels, whose range is unknown.
        ImportError: if Pillow is not installed.
    """
    Image = import_pillow("Image", "convert")
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no file '{shown(path)}'")
    # Opening a pipe would wait for its other end.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(f"{shown(path)} is not a regular file")
    opened = functools.partial(open, path, "rb")
    return _decoded(lambda: Image.open(path), opened, shown(path), exif_orientation)


def decode_rgb(encoded, name="the data", exif_orientation=False):
    """As `open_rgb`, for the bytes of a file.

    Args:
        encoded: bytes.
        name: str, the name used in errors.
        exif_orientation: as for `open_rgb`.
    """
    Image = import_pillow("Image", "data")
    opened = functools.partial(io.BytesIO, encoded)
    return _decoded(lambda: Image.open(opened()), opened, name, exif_orientation)


def _decoded(open_image, open_file, name, exif_orientation):
    try:
        with open_image() as image:
            if image.format == "PNG":
                image.verify()  # decoding does not compare the checksums of pixels
        with open_image() as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"it has more than {MOST_PIXELS:,} pixels")
            if not exif_orientation:
                return rgb(image)
            with open_file() as file:
                orientation = orientation_of(file)
            return upright(image, orientation)
    # Each of Pillow's readers raises other exceptions for damaged files.
    except Exception as error:
        reason = escaped(str(error)) or type(error).__name__
        raise OSError(f"{name} is no image that can be read: {reason}") from None


def upright(image, orientation=None):
    """A Pillow image of any mode in mode RGB, turned upright.

    Args:
        orientation: EXIF's; None: read it through Pillow.

    Raises:
        ValueError: as for `rgb`.
    """
    image.load()  # which turns a TIFF
    if orientation is None:
        orientation = image.getexif().get(TAG, UPRIGHT)
    image = turned(rgb(image), orientation)
    image.info = {}  # or it could be turned again
    return image


def rgb(image):
    """A Pillow image of any mode in mode RGB.

    Raises:
        ValueError: if its pixels have 32 bits.
    """
    if image.mode.startswith("I;16"):  # which Pillow would cut off at 255
        image = image.point(lambda value: value / 256).convert("L")
    elif image.mode in ("I", "F"):
        raise ValueError(
            f"pixels of 32 bits (mode {image.mode}), whose range is unknown: save "
            "it with 8 or 16 bits"
        )
    return image.convert("RGB")
