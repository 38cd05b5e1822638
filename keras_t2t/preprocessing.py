"""From pixels to the model's input, and from its output to class names."""

import math
import os
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_t2t._ground.arguments import (
    check_choice,
    check_colours,
    check_counts,
    check_flags,
    check_pair,
    check_share,
    python_number,
    short,
    shown,
)
from keras_t2t._ground.images import Encoded, open_file, rgb, upright
from keras_t2t._ground.normalizations import IMAGENET_MEAN, IMAGENET_STD
from keras_t2t._ground.optional_imports import import_library
from keras_t2t._ground.types import Array, Image, Interpolation, Size, Tensor, Triple

# Aspect ratio above which only the part that is cropped is resized.
EXTREME = 16
# What has so many classes is ImageNet in practice, whose accuracies are published for
# photographs that are neither turned nor reduced.
IMAGENET_CLASSES = 1000


def preprocess_input(
    images: Tensor, mean: Triple = IMAGENET_MEAN, std: Triple = IMAGENET_STD
) -> Tensor:
    """Standardises RGB images, by default with ImageNet's mean and standard deviation.

    Args:
        images: array or tensor `(..., height, width, 3)`, channels last, values
            0..255 of any dtype. It is not changed in place.
        mean, std: three numbers each, for pixels in 0..1, red, green, blue.

    Returns:
        float32 array (for a NumPy array) or tensor of the same shape, with values of
        about -2.1..2.7.

    Raises:
        ValueError: if `images` is no array, its last axis does not hold 3 channels, or
            `mean` or `std` are not three numbers.
    """
    shape = getattr(images, "shape", None)
    if shape is None:
        raise ValueError(f"`images` must be an array or tensor, got {short(images)}")
    if not len(shape) or shape[-1] != 3:
        raise ValueError(
            f"`images` must have 3 channels on the last axis, got shape {tuple(shape)}"
        )
    check_colours("mean", mean)
    check_colours("std", std, above=0)
    mean = 255 * np.asarray(mean, "float32")
    std = 255 * np.asarray(std, "float32")
    if isinstance(images, np.ndarray):
        return (images.astype("float32") - mean) / std
    # On torch it may be on another device than new tensors.
    images = ops.convert_to_tensor(images)
    mean, std = ops.convert_to_tensor(mean), ops.convert_to_tensor(std)
    return (ops.cast(images, "float32") - mean) / std


def preprocessing_layer(
    mean: Triple = IMAGENET_MEAN, std: Triple = IMAGENET_STD, **kwargs: Any
) -> keras.layers.Layer:
    """The same standardisation as a layer, to use inside a model."""
    return keras.layers.Normalization(
        axis=-1,  # the global image data format must not move the channels
        mean=[255 * value for value in mean],
        variance=[(255 * value) ** 2 for value in std],
        dtype="float32",  # bfloat16 cannot hold the mean of 0..255 pixels
        **kwargs,
    )


def pixel_model(build, input_shape, mean=IMAGENET_MEAN, std=IMAGENET_STD, **arguments):
    """A model for RGB pixels 0..255, standardised by any mean and standard deviation,
    three numbers each for pixels in 0..1; `build` and `arguments` are a builder and its
    own.

    With ImageNet's it is the same as `build(include_preprocessing=True)`.
    """
    image = keras.Input(input_shape, name="image")
    standardised = preprocessing_layer(mean, std, name="preprocessing")(image)
    return build(input_tensor=standardised, **arguments)


def evaluation_transform(
    image: Image,
    size: Size = (224, 224),
    crop: float = 0.9,
    interpolation: Interpolation = "bicubic",
    exif_orientation: bool = False,
    reduced: bool = False,
) -> Array:
    """Prepares one image as for the published accuracies.

    The image is resized, keeping its aspect ratio, until it covers `size / crop`, and
    centre-cropped. For a square `size` that equals torchvision's
    `Resize(floor(size / crop))` and `CenterCrop(size)` to the pixel: 224 at 0.9 resizes
    the short side to 248.

    Args:
        image: a `PIL.Image.Image` of any mode, or the path of an image file.
        size: `(height, width)` of the result, in pixels.
        crop: float in (0, 1], side of the crop over that of the resized image.
        interpolation: `"bicubic"` or `"bilinear"`, Pillow's, which avoid aliasing.
        exif_orientation: whether the image is first turned as its EXIF data says: right
            for your own photographs, but not done for ImageNet's published accuracies.
        reduced: whether a JPEG file of at least four times the needed width and height
            is decoded at a reduced size, at least twice the needed one. This takes a
            third of the time for a phone's photograph, and differs by 0.2 grey levels
            on average. Models with fewer than 1,000 classes are validated in this way;
            published accuracies are for exact pixels.

    Returns:
        uint8 array `(height, width, 3)`, red, green, blue in 0..255, to be given to
        `preprocess_input` unless the model has `include_preprocessing`.

    Raises:
        ValueError: if an argument is out of range, or an image has 32-bit pixels.
        OSError: if the file is missing, or is no image that can be read.
        ImportError: if Pillow is not installed.
    """
    Image = import_library("PIL.Image", "convert")
    filters = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}
    check_choice("interpolation", interpolation, filters)
    check_share("crop", crop)
    check_flags(exif_orientation=exif_orientation, reduced=reduced)
    size = python_number(size)
    check_pair("size", size)
    if not isinstance(image, (Image.Image, str, os.PathLike)):
        raise ValueError(
            "`image` must be a PIL.Image.Image or the path of a file, got "
            f"{short(image)}"
        )
    filter = filters[interpolation]
    if isinstance(image, Image.Image):
        image = upright(image) if exif_orientation else rgb(image)
        return np.asarray(resize_and_crop(image, size, crop, filter))
    with open_file(image) as file:
        encoded = Encoded(file, shown(image), exif_orientation)
        return np.asarray(decode_and_crop(encoded, size, crop, filter, reduced))


def decode_and_crop(encoded, size, crop, filter, reduced):
    """As `resize_and_crop`, of an `Encoded`, decoded to less than its size if asked."""
    resized = _covering(encoded.size, size, crop)
    image, box = encoded.decode(reduction(encoded.size, resized) if reduced else 1)
    return _centre(image, resized, size, filter, box)


def reduction(part, result):
    """How much smaller a JPEG may be decoded, where a part of it, (width, height) in
    pixels, is to be resized: 8, 4, 2 or 1, the most that leaves the part twice as wide
    and high as the result, so that the filter of the resizing still decides what is
    seen."""
    most = min(side / (2 * least) for side, least in zip(part, result, strict=True))
    return next((times for times in (8, 4, 2) if times <= most), 1)


def resize_and_crop(image, size, crop, filter):
    """The centre crop `(height, width)` of an RGB image of Pillow, once it is resized
    until it covers `size / crop`."""
    return _centre(image, _covering(image.size, size, crop), size, filter)


def _covering(whole, size, crop):
    return covering(whole, [math.floor(side / crop) for side in size[::-1]])


def _centre(image, resized, size, filter, box=None):
    width, height = resized
    # round() takes halves to the even side, as torchvision's CenterCrop does.
    left, top = round((width - size[1]) / 2), round((height - size[0]) / 2)
    window = left, top, left + size[1], top + size[0]
    return resize_and_cut(image, resized, window, filter, box)


def resize_and_cut(image, size, window, filter, box=None):
    """`image.resize(size, filter, box).crop(window)`, for a window inside `size`."""
    box = box or (0, 0, *image.size)
    if max(image.size) > EXTREME * min(image.size):
        # The whole resized image could take gigabytes.
        return _resize_window(image, size, window, filter, box)
    if size != image.size:
        image = image.resize(size, filter, box)
    return image.crop(window)


def _resize_window(image, size, window, filter, whole):
    """`image.resize(size, filter, whole).crop(window)`, within one grey level."""
    scale = (whole[2] - whole[0]) / size[0], (whole[3] - whole[1]) / size[1]
    box = [whole[i % 2] + side * scale[i % 2] for i, side in enumerate(window)]
    # Plus the filter's support: Pillow's boxes are inexact far from the corner.
    reach = [math.ceil(2 * max(1, side)) + 1 for side in scale]
    left, top = (max(0, math.floor(box[i]) - reach[i]) for i in (0, 1))
    right = min(image.width, math.ceil(box[2]) + reach[0])
    bottom = min(image.height, math.ceil(box[3]) + reach[1])
    part = image.crop((left, top, right, bottom))
    box = [side - (left, top)[i % 2] for i, side in enumerate(box)]
    size = window[2] - window[0], window[3] - window[1]
    return part.resize(size, filter, box)


def covering(size, least):
    """The smallest `(width, height)` with the ratio of `size` that covers `least`."""
    (width, height), (least_width, least_height) = size, least
    if least_width * height > least_height * width:
        return least_width, int(least_width * height / width)
    return int(least_height * width / height), least_height


def decode_predictions(
    predictions: Tensor, top: int = 5
) -> list[list[tuple[str, str, float]]]:
    """Names the most probable ImageNet-1k classes.

    Args:
        predictions: array or tensor `(batch, 1000)` of probabilities or logits.
        top: int, how many classes per image.

    Returns:
        For every image a list of `(wordnet_id, class_name, score)`, best first.

    Raises:
        ValueError: if `predictions` is not `(batch, 1000)`, or `top` is not a positive
            integer.

    The names are Keras's; they are downloaded at the first call and kept in Keras's
    cache folder.
    """
    check_counts(top=top)
    predictions = ops.convert_to_numpy(predictions)
    if predictions.ndim != 2 or predictions.shape[1] != IMAGENET_CLASSES:
        raise ValueError(
            "`predictions` must have shape (batch, 1000), one score per ImageNet "
            f"class, got {predictions.shape}"
        )
    return keras.applications.imagenet_utils.decode_predictions(predictions, top=top)
