"""From pixels to the model's input, and from its output to class names."""

import math

import keras
import numpy as np
from keras import ops

# ImageNet's per-channel mean and standard deviation, red, green, blue, of pixels
# scaled to 0..1.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def preprocess_input(images, mean=MEAN, std=STD):
    """Standardises RGB images, by ImageNet's mean and standard deviation if not told.

    Args:
        images: array or tensor `(..., height, width, 3)`, channels last, values
            0..255 of any dtype. It is not changed in place.
        mean, std: three numbers each, of pixels scaled to 0..1, red, green, blue.

    Returns:
        float32 array (for a NumPy array) or tensor of the same shape, about
        -2.1..2.7.

    Raises:
        ValueError: if the last axis does not hold 3 channels.
    """
    if images.shape[-1] != 3:
        raise ValueError(
            "`images` must have 3 channels on the last axis, got shape "
            f"{tuple(images.shape)}"
        )
    mean = 255 * np.asarray(mean, "float32")
    std = 255 * np.asarray(std, "float32")
    if isinstance(images, np.ndarray):
        return (images.astype("float32") - mean) / std
    mean, std = ops.convert_to_tensor(mean), ops.convert_to_tensor(std)
    return (ops.cast(images, "float32") - mean) / std


def preprocessing_layer(mean=MEAN, std=STD, **kwargs):
    """The same standardisation as a layer without weights, for inside a model."""
    return keras.layers.Normalization(
        axis=-1,  # the global image data format must not move the channels
        mean=[255 * value for value in mean],
        variance=[(255 * value) ** 2 for value in std],
        dtype="float32",  # bfloat16 cannot hold the mean of 0..255 pixels
        **kwargs,
    )


def pixel_model(build, input_shape, mean=MEAN, std=STD, **arguments):
    """A model for RGB pixels 0..255, standardised by any mean and deviation.

    With ImageNet's it is what `build(include_preprocessing=True)` gives.

    Args:
        build: a builder, such as `keras_t2t.T2TViT14`.
        input_shape: `(height, width, 3)`.
        mean, std: three numbers each, of pixels scaled to 0..1, red, green, blue.
        **arguments: of the builder.

    Returns:
        A functional `keras.Model`.
    """
    image = keras.Input(input_shape, name="image")
    standardised = preprocessing_layer(mean, std, name="preprocessing")(image)
    return build(input_tensor=standardised, **arguments)


def evaluation_transform(image, size=(224, 224), crop=0.9, interpolation="bicubic"):
    """Prepares one image as the published accuracies were measured.

    The image is resized, ratio kept, until it covers `size / crop`, and the centre is
    cut out. For a square `size` that is torchvision's `Resize(floor(size / crop))` and
    `CenterCrop(size)` to the pixel: 224 at 0.9 resizes the short side to 248.

    Args:
        image: a `PIL.Image.Image` of any mode, or the path of an image file.
        size: `(height, width)` of the result, in pixels.
        crop: float in (0, 1], side of the crop over that of the resized image.
        interpolation: `"bicubic"` or `"bilinear"`, Pillow's, which avoid aliasing.

    Returns:
        uint8 array `(height, width, 3)`, red, green, blue in 0..255; then
        `preprocess_input`, unless the model has `include_preprocessing`.

    Raises:
        ValueError: if an argument is out of range.
        OSError: if the file is missing or no image that Pillow reads.
        ImportError: if Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(
            "Pillow is needed to prepare images and is not installed: "
            'pip install "keras-t2t[convert]"',
            name="PIL",
        ) from None
    filters = {"bicubic": Image.BICUBIC, "bilinear": Image.BILINEAR}
    if interpolation not in filters:
        raise ValueError(
            f"`interpolation` must be one of {sorted(filters)}, got {interpolation!r}"
        )
    if not 0 < crop <= 1:
        raise ValueError(f"`crop` must be in (0, 1], got {crop!r}")
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"`size` must be (height, width) of 1 px or more, got {size}")
    if not isinstance(image, Image.Image):
        with Image.open(image) as file:
            return evaluation_transform(_rgb(file), size, crop, interpolation)
    image = _rgb(image)
    resized = _covering(image.size, [math.floor(side / crop) for side in size[::-1]])
    if resized != image.size:
        image = image.resize(resized, filters[interpolation])
    # round() takes halves to the even side, as torchvision's CenterCrop does.
    left, top = (round((a - b) / 2) for a, b in zip(resized, size[::-1], strict=True))
    return np.asarray(image.crop((left, top, left + size[1], top + size[0])))


def _rgb(image):
    if image.mode.startswith("I;16"):  # which Pillow would cut off at 255
        image = image.point(lambda value: value / 256).convert("L")
    return image.convert("RGB")


def _covering(size, least):
    """The smallest `(width, height)` of `size`'s ratio that is `least` or more."""
    (width, height), (least_width, least_height) = size, least
    if least_width * height > least_height * width:
        return least_width, int(least_width * height / width)
    return int(least_height * width / height), least_height


def decode_predictions(predictions, top=5):
    """Names the most probable ImageNet-1k classes.

    Args:
        predictions: array or tensor `(batch, 1000)` of probabilities or logits.
        top: int, how many classes per image.

    Returns:
        For every image a list of `(wordnet_id, class_name, score)`, best first.

    Raises:
        ValueError: if `predictions` is not `(batch, 1000)`.

    The class index is Keras's own; it is downloaded at the first call and kept in
    Keras's cache folder.
    """
    predictions = ops.convert_to_numpy(predictions)
    if predictions.ndim != 2 or predictions.shape[1] != 1000:
        raise ValueError(
            "`predictions` must have shape (batch, 1000), one score per ImageNet "
            f"class, got {predictions.shape}"
        )
    return keras.applications.imagenet_utils.decode_predictions(predictions, top=top)
