"""A photograph as cameras store it, with the orientation in its header."""

import io

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_image

ORIENTATIONS = range(1, 9)


def oriented(orientation, format="JPEG", size=(60, 40), **options):
    """The bytes of a file, `(width, height)` as stored, whose corners all differ."""
    image = Image.fromarray(load_sample_image("flower.jpg")).resize(size)
    exif = Image.Exif()
    exif[0x010F] = "maker of cameras"  # stands before the orientation
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, format, exif=exif, **options)
    return file.getvalue()


def upright(content):
    """Pillow's pixels of a file as it is meant to be seen."""
    from PIL import ImageOps

    image = Image.open(io.BytesIO(content))
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def encode(image, format, **options):
    """The bytes of a file, of pixels or a Pillow image."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()
