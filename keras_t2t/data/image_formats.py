"""Which format an image file has, told by its first bytes or by its name."""

import os

HEAD = 32  # bytes that tell it

HEIC_BRANDS = b"heic heix hevc hevx heim heis mif1 msf1".split()
# The bytes by which a format is known, their place, and its name.
BEGINNINGS = (
    (b"\xff\xd8\xff", 0, "JPEG"),
    (b"\x89PNG\r\n", 0, "PNG"),
    (b"GIF8", 0, "GIF"),
    (b"BM", 0, "BMP"),
    (b"WEBP", 8, "WebP"),
    (b"II*\0", 0, "TIFF"),
    (b"MM\0*", 0, "TIFF"),
    (b"II+\0", 0, "TIFF"),
    (b"MM\0+", 0, "TIFF"),
    (b"\0\0\0\x0cjP  ", 0, "JPEG 2000"),
    (b"\xff\x4f\xff\x51", 0, "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", 0, "JPEG XL"),
    (b"\xff\x0a", 0, "JPEG XL"),
    (b"ftypavif", 4, "AVIF"),
    (b"ftypavis", 4, "AVIF"),
    *((b"ftyp" + brand, 4, "HEIC") for brand in HEIC_BRANDS),
    *((b"P%d" % n + space, 0, "PNM") for n in range(1, 8) for space in (b"\n", b" ")),
    (b"\0\0\1\0", 0, "ICO"),
    (b"8BPS", 0, "PSD"),
    (b"qoif", 0, "QOI"),
    (b"DDS ", 0, "DDS"),
    (b"\x0a\x05\x01\x08", 0, "PCX"),
)
SUFFIXES = frozenset(
    """
    .jpg .jpeg .jpe .jfif .jif .png .apng .gif .bmp .dib .webp .tif .tiff .avif .heic
    .heif .jp2 .j2k .jpx .jpf .j2c .jxl .ppm .pgm .pbm .pnm .ico .psd .qoi .dds .pcx
    .tga
    """.split()
)


def format_of(head):
    """The name of the format that begins with these bytes, None if it is none."""
    for beginning, place, name in BEGINNINGS:
        if head[place : place + len(beginning)] == beginning:
            return name
    return None


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
