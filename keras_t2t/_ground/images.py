"""Image files through Pillow: correct pixels, or one error that names the file."""

import contextlib
import io
import os
import stat

from keras_t2t._ground.arguments import escaped, shown
from keras_t2t._ground.exif import (
    DOWN,
    SIDEWAYS,
    SWAPPED,
    TAG,
    UPRIGHT,
    orientation_of,
    turned,
)
from keras_t2t._ground.optional_imports import import_library

MOST_PIXELS = 178_956_970  # checked before decoding; Pillow's own limit
JPEG = "JPEG", "MPO"  # Pillow's names


def open_file(path):
    """A file to be read as an image; an OSError if it is missing or no regular file."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no file '{shown(path)}'")
    # Opening a pipe would wait for its other end.
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError(f"{shown(path)} is not a regular file")
    return open(path, "rb")


def decode_rgb(encoded, name="the data", exif_orientation=False):
    """The image in a file's bytes, a `PIL.Image.Image` of mode RGB.

    Args:
        exif_orientation: whether to turn it as its EXIF data says. Photographs need
            that, since cameras only record how they were held; torchvision does not do
            it. Pillow always turns a TIFF.

    Raises:
        OSError: if it is no image that Pillow reads, is cut off, has more than
            178,956,970 pixels, or 32-bit pixels, whose range is unknown.
        ImportError: if Pillow is not installed.
    """
    return Encoded(io.BytesIO(encoded), name, exif_orientation).decode()[0]


class Encoded:
    """An image whose size is known before its pixels are decoded.

    The file must stay open until `decode` has returned. Errors are those of
    `decode_rgb`.

    Attributes:
        size: (width, height) in pixels, once it is turned.
        orientation: EXIF's, that it is turned from; 1 where it is not.
        is_jpeg: bool. Other formats are decoded at once.
    """

    def __init__(self, file, name="the data", exif_orientation=False):
        Image = import_library("PIL.Image", "data")
        self._name = name
        with self._named():
            self._image = image = Image.open(file)
            if image.format == "PNG":
                image.verify()  # decoding does not compare the checksums of pixels
                file.seek(0)
                self._image = image = Image.open(file)
            width, height = image.size
            if width * height > MOST_PIXELS:
                raise ValueError(f"it has more than {MOST_PIXELS:,} pixels")
            self._turns, self.orientation = exif_orientation, UPRIGHT
            if exif_orientation:
                place = file.tell()
                self.orientation = orientation_of(file)
                file.seek(place)
            self._decoded = None
            self.is_jpeg = image.format in JPEG
            if self.is_jpeg:
                swapped = self.orientation in SWAPPED
                self.size = image.size[::-1] if swapped else image.size
            else:  # its size may be another once it is decoded
                self._decoded = self._upright()
                self.size = self._decoded.size

    def decode(self, reduction=1):
        """The pixels in mode RGB, once, and the box of them that shows all of `size`:
        (left, top, right, bottom), of which the last at two sides may be in part beyond
        the photograph.

        Args:
            reduction: 1, 2, 4 or 8. A JPEG is decoded to so much less than its width
                and height, rounded up, which takes a fraction of the time: each block
                of 8 x 8 to one of 4 x 4, 2 x 2 or 1 pixels. Other formats are not.
        """
        image = self._decoded
        if image is None:
            with self._named():
                if reduction > 1:
                    size = [max(side // reduction, 1) for side in self._image.size]
                    self._image.draft(None, size)
                image = self._upright()
        if image.size == self.size:
            return image, (0, 0, *image.size)
        width, height = (side / reduction for side in self.size)
        left = image.width - width if self.orientation in SIDEWAYS else 0
        top = image.height - height if self.orientation in DOWN else 0
        return image, (left, top, left + width, top + height)

    def _upright(self):
        if not self._turns:
            return rgb(self._image)
        image = upright(self._image, self.orientation)
        image.info = {}  # or it could be turned again
        return image

    @contextlib.contextmanager
    def _named(self):
        try:
            yield
        # Each of Pillow's readers raises other exceptions for damaged files.
        except Exception as error:
            reason = str(error).partition(" <_io.")[0]  # Pillow names the object
            reason = escaped(reason) or type(error).__name__
            raise OSError(
                f"{self._name} is no image that can be read: {reason}"
            ) from None


def upright(image, orientation=None):
    """A Pillow image of any mode in mode RGB, turned upright from EXIF's `orientation`;
    None: read it through Pillow."""
    image.load()  # which turns a TIFF
    if orientation is None:
        orientation = image.getexif().get(TAG, UPRIGHT)
    return turned(rgb(image), orientation)


def rgb(image):
    """A Pillow image of any mode in mode RGB; itself, if it is. A ValueError if its
    pixels have 32 bits."""
    image.load()
    # Pillow gives a PGM of 16 bits, and no other PNM, the mode I, and 0..65535.
    is_pgm = image.format == "PPM" and image.mode == "I"
    if image.mode.startswith("I;16") or is_pgm:  # which Pillow would cut off at 255
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    elif image.mode in ("I", "F"):
        raise ValueError(
            f"pixels of 32 bits (mode {image.mode}), whose range is unknown: save "
            "it with 8 or 16 bits"
        )
    return image if image.mode == "RGB" else image.convert("RGB")
