"""EXIF's orientation of an image, 1 to 8, from its header.

Read from a JPEG's first EXIF segment, a PNG's `eXIf` chunk or a WebP's `EXIF` chunk, in
pure Python, so that it depends on no library's version;
`export/graph_header.py` does the same in TensorFlow. Damaged EXIF data
means orientation 1.
"""

import struct

UPRIGHT = 1
# The orientations for which an image is turned by swapping rows and columns, then by
# mirroring it sideways, then upside down.
SWAPPED, SIDEWAYS, DOWN = (5, 6, 7, 8), (2, 3, 6, 7), (3, 4, 7, 8)
TAG = 0x0112
EXIF = b"Exif\0\0"
MOST_PARTS = 1000  # segments or chunks before the EXIF data
# Types of the tag's value: one, two or four bytes.
TYPES = {1: "B", 3: "H", 4: "I"}


def orientation_of(file):
    """The orientation of the image in a file that can seek: 1 to 8, of which 5 to 8
    swap width and height; 1 (upright) if the header does not say, None for other
    formats."""
    file.seek(0)
    head = file.read(16)
    try:
        if head.startswith(b"\xff\xd8\xff"):
            return _of_tiff(file, _in_jpeg(file))
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return _of_tiff(file, _in_png(file))
        if head[:4] == b"RIFF" and head[8:] == b"WEBPVP8X":
            return _of_tiff(file, _in_webp(file))
    except struct.error:  # cut off
        return UPRIGHT
    return None


def turned(image, orientation):
    """A Pillow image turned upright from the given orientation."""
    # The numbers of Pillow's `Image.Transpose`, in the order of EXIF's 2 to 8.
    methods = (0, 3, 1, 5, 4, 6, 2)
    if orientation not in range(2, 9):
        return image
    return image.transpose(methods[orientation - 2])


# === Where the EXIF data begins ===
def _in_jpeg(file):
    place = 2
    for _ in range(MOST_PARTS):
        file.seek(place)
        head = file.read(10)
        begin, marker, length = struct.unpack(">BBH", head[:4])
        if begin != 0xFF or marker in (0xD9, 0xDA):  # the end, or pixels
            break
        if marker == 0xFF:  # filling
            place += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            place += 2
        elif marker == 0xE1 and head[4:] == EXIF:
            return place + 10
        else:
            place += 2 + length
    return None


def _in_png(file):
    place = 8
    for _ in range(MOST_PARTS):
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"eXIf":
            return place + 8
        if kind in (b"IDAT", b"IEND"):
            break
        place += 12 + length
    return None


def _in_webp(file):
    place = 12
    for _ in range(MOST_PARTS):
        file.seek(place)
        head = file.read(14)
        kind, length = struct.unpack("<4sI", head[:8])
        if kind == b"EXIF":
            return place + (14 if head[8:] == EXIF else 8)
        place += 8 + length + length % 2
    return None


def _of_tiff(file, place):
    """The orientation in the first directory of EXIF data, which is a TIFF."""
    if place is None:
        return UPRIGHT
    file.seek(place)
    head = file.read(8)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None:
        return UPRIGHT
    (directory,) = struct.unpack(f"{order}I", head[4:])
    file.seek(place + directory)
    (count,) = struct.unpack(f"{order}H", file.read(2))
    entries = file.read(12 * count)
    for first in range(0, len(entries) - 11, 12):
        tag, kind = struct.unpack_from(f"{order}HH", entries, first)
        if tag == TAG:
            if kind not in TYPES:
                return UPRIGHT
            (value,) = struct.unpack_from(f"{order}{TYPES[kind]}", entries, first + 8)
            return value if 1 <= value <= 8 else UPRIGHT
    return UPRIGHT
