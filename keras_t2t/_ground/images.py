"""Image files through Pillow: right pixels, or one error that names the file."""

import functools
import io
import os
import stat

from keras_t2t._ground.arguments import escaped, shown
from keras_t2t._ground.exif import TAG, UPRIGHT, orientation_of, turned
from keras_t2t._ground.optional_imports import import_pillow

# Of an image, before it is decoded; Pillow's own limit.
MOST_PIXELS = 178_956_970


def open_rgb(path, exif_orientation=False):
    """The image in a file.

    Args:
        path: of an image of any format that Pillow reads.
        exif_orientation: bool, whether it is turned as its EXIF data says, as cameras
            leave it to whoever shows a photograph. torchvision does not. A TIFF always
            is, by Pillow.

    Returns:
        A `PIL.Image.Image` of mode RGB.

    Raises:
        FileNotFoundError: if there is no such file.
        OSError: if it is no image that Pillow reads, is cut off, has more than
            178,956,970 pixels, or pixels of 32 bits, whose range nothing tells.
        ImportError: if Pillow is not installed.
    """
    Image = import_pillow("Image", "convert")
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no file '{shown(path)}'")
    # Opening a pipe would wait for its other end.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(f"{shown(path)} is no file")
    opened = functools.partial(open, path, "rb")
    return _decoded(lambda: Image.open(path), opened, shown(path), exif_orientation)


def decode_rgb(encoded, name="the data", exif_orientation=False):
    """The image in a file's bytes, as `open_rgb`.

    Args:
        encoded: bytes.
        name: str, what messages call it.
        exif_orientation: as of `open_rgb`.
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
    # Each of Pillow's formats raises its own kinds for damaged files.
    except Exception as error:
        reason = escaped(str(error)) or type(error).__name__
        raise OSError(f"{name} is no image that can be read: {reason}") from None


def upright(image, orientation=None):
    """A Pillow image of any mode in mode RGB, turned as it is meant to be seen.

    Args:
        orientation: EXIF's; None: as Pillow reads it.

    Raises:
        ValueError: as of `rgb`.
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
            f"pixels of 32 bits (mode {image.mode}), whose range nothing tells: save "
            "it with 8 or 16 bits"
        )
    return image.convert("RGB")
