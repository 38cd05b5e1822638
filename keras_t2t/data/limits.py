"""Images that are sound, and that a reader does not decode all the same."""

from typing import NamedTuple

from keras_t2t._ground.images import decode_rgb
from keras_t2t._ground.optional_imports import import_pillow
from keras_t2t.data.image_formats import HEAD, format_of

# What Pillow calls a format, and the part of it that may be missing.
PILLOW = {
    "AVIF": ("AVIF", "avif"),
    "HEIC": ("HEIF", None),
    "JPEG 2000": ("JPEG2000", "jpg_2000"),
    "JPEG XL": ("JXL", None),
    "PNM": ("PPM", None),
    "WebP": ("WEBP", "webp"),
}
OURS = ("it has more than", "pixels of 32 bits")  # how `images` words its own limits


class Limit(NamedTuple):
    """Why a sound image is not decoded."""

    kind: str  # of image: "TIFF"
    reader: str | None  # that decodes it; None: there is none


def find_limit(encoded, reader):
    """Why a reader does not decode an image that it failed at.

    Args:
        encoded: bytes of the file.
        reader: name, see `readers`.

    Returns:
        `Limit`, or None where the file is corrupt.
    """
    name = format_of(encoded[:HEAD])
    if name is None:
        return None
    try:
        decode_rgb(encoded)
    except OSError as error:
        for limit in OURS:
            if (at := str(error).find(limit)) >= 0:
                return Limit(f"{name}: {str(error)[at:]}", None)
        return None if _pillow_reads(name) else Limit(name, None)
    return Limit(name, "grain") if reader != "grain" else None


def _pillow_reads(name):
    Image, features = import_pillow("Image", "data"), import_pillow("features", "data")
    Image.init()
    format, part = PILLOW.get(name, (name.upper(), None))
    return format in Image.OPEN and (part is None or bool(features.check(part)))
