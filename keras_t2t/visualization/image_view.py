"""From images of any kind to the input of a model."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_t2t._ground.images import decode_rgb
from keras_t2t._ground.listing import list_images
from keras_t2t._ground.optional_imports import import_library
from keras_t2t._ground.types import Array, Image
from keras_t2t.data.sources.layouts import find_source, holds_containers
from keras_t2t.models.pixel_input import takes_pixels as takes_pixels_itself
from keras_t2t.preprocessing import evaluation_transform, preprocess_input


def model_view(
    model: keras.Model, image: Image, exif_orientation: bool = True, **transform: Any
) -> Array:
    """The part of an image that a model sees, in the model's size.

    Args:
        model: a `keras.Model` of images `(height, width, 3)`.
        image: a path, a `PIL.Image.Image`, or an array `(height, width)` or `(height,
            width, 1, 3 or 4 channels)` of values 0..255. It may have any size and
            aspect ratio: it is resized to cover the model's input and centre-cropped,
            as by `evaluation_transform`. An array that already has the model's height
            and width stays unchanged.
        exif_orientation: whether a photograph is turned as its EXIF data says.
        transform: `crop`, `interpolation` and `reduced` of `evaluation_transform`.

    Returns:
        uint8 array `(height, width, 3)`, red, green, blue, which are equal for grey
        images.

    Raises:
        ValueError: if `image` is none of these, or the model does not take RGB images.
        OSError: if the file does not exist, or is no image that can be read.
        ImportError: if Pillow is not installed.
    """
    size = _image_size(model)
    transform["exif_orientation"] = exif_orientation
    Image = import_library("PIL.Image", "visualize")
    if isinstance(image, (str, os.PathLike, Image.Image)):
        return evaluation_transform(image, size, **transform)
    pixels = _pixels(image)
    if pixels.shape[:2] == size:
        return pixels
    return evaluation_transform(Image.fromarray(pixels), size, **transform)


def model_input(model, view, takes_pixels=None):
    """A view as a batch of one, float32 `(1, height, width, 3)`, standardised unless
    the model does that itself: `takes_pixels`, or if None its first layers say so."""
    batch = view[None].astype("float32")
    if takes_pixels_itself(model, takes_pixels):
        return batch
    return preprocess_input(batch)


def _image_size(model):
    """`(height, width)` of the model's input."""
    shape = getattr(model, "input_shape", None)
    rgb = isinstance(shape, tuple) and len(shape) == 4 and shape[-1] == 3
    if not rgb or None in shape[1:3]:
        raise ValueError(
            "`model` must take RGB images (batch, height, width, 3) of a fixed height "
            f"and width, got the input shape {shape}"
        )
    return shape[1:3]


def _pixels(image):
    """An array as uint8 `(height, width, 3)`."""
    accepted = (
        "`image` must be a path, a PIL image or an array (height, width) or (height, "
        "width, channels) of values 0..255"
    )
    try:
        pixels = np.asarray(image)
    except Exception:
        raise ValueError(f"{accepted}, got {type(image).__name__}") from None
    if pixels.dtype.kind not in "uif":
        raise ValueError(f"{accepted}, got {type(image).__name__} of {pixels.dtype}")
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[-1] not in (1, 3, 4) or 0 in pixels.shape:
        raise ValueError(f"{accepted}, got the shape {np.shape(image)}")
    if not np.isfinite(pixels).all() or pixels.min() < 0 or pixels.max() > 255:
        raise ValueError(f"{accepted}, got values {pixels.min()}..{pixels.max()}")
    if pixels.shape[-1] == 4:
        pixels = pixels[..., :3]  # as Pillow's conversion, which drops alpha
    if pixels.max() <= 1 and (pixels % 1).any():
        raise ValueError(f"{accepted}, got floats of 0..1: multiply by 255")
    pixels = np.round(pixels).astype("uint8")
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


# === Several ===
def image_list(images):
    """One image, a list of them or a folder, as a sequence that is not empty."""
    if isinstance(images, (str, os.PathLike)) and Path(images).is_dir():
        folder = Path(images)
        if holds_containers(folder):
            return SplitImages(folder)
        images, _ = list_images(folder)
        if not images:
            raise ValueError(f"`images`: there is no file in {str(folder)!r}")
    elif not isinstance(images, (list, tuple)):
        images = [images]
    if len(images) == 0:
        raise ValueError("`images` must have at least one image, got none")
    return list(images)


class SplitImages(Sequence):
    """The validation images of a folder of parquet files or tars, as Pillow images of
    mode RGB, decoded one by one."""

    def __init__(self, folder):
        self._split = find_source(folder, evaluation_only=True).validation

    def __len__(self):
        return len(self._split)

    def __getitem__(self, index):
        index = range(len(self))[index]
        return decode_rgb(self._split.read(index), self._split.name(index))
