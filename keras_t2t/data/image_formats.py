"""Which format an image file has, told by its first bytes or by its name."""

import os
import re

HEAD = 32  # bytes that tell it
# What the first bytes of each format match.
BEGINNINGS = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n",
    "GIF": rb"GIF8",
    "BMP": rb"BM",
    "WebP": rb".{8}WEBP",
    "TIFF": rb"II[*+]\x00|MM\x00[*+]",
    "JPEG 2000": rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51",
    "JPEG XL": rb"\x00\x00\x00\x0cJXL |\xff\x0a",
    "AVIF": rb".{4}ftypavi[fs]",
    "HEIC": rb".{4}ftyp(hei[cxms]|hev[cx]|mif1|msf1)",
    "PNM": rb"P[1-7][\n ]",
    "ICO": rb"\x00\x00\x01\x00",
    "PSD": rb"8BPS",
    "QOI": rb"qoif",
    "DDS": rb"DDS ",
    "PCX": rb"\x0a\x05\x01\x08",
}
SUFFIXES = frozenset(
    """
    .jpg .jpeg .jpe .jfif .jif .png .apng .gif .bmp .dib .webp .tif .tiff .avif .heic
    .heif .jp2 .j2k .jpx .jpf .j2c .jxl .ppm .pgm .pbm .pnm .ico .psd .qoi .dds .pcx
    .tga
    """.split()
)


def format_of(head):
    """The name of the format that begins with these bytes, None if it is none."""
    matches = (name for name in BEGINNINGS if re.match(BEGINNINGS[name], head, re.S))
    return next(matches, None)


def is_image_name(name):
    """Whether a file's name ends as an image's does."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def is_image_file(path):
    """Whether a regular file is an image by its name or its first bytes."""
    if is_image_name(path):
        return True
    try:
        with open(path, "rb") as file:
            return format_of(file.read(HEAD)) is not None
    except OSError:
        return False
