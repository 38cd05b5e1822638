"""From pixels to the model's input, and from its output to class names."""

import keras
import numpy as np
from keras import ops

# ImageNet's per-channel mean and standard deviation, red, green, blue, of pixels
# scaled to 0..1.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def preprocess_input(images):
    """Standardises RGB images by ImageNet's mean and standard deviation.

    Args:
        images: array or tensor `(..., height, width, 3)`, channels last, values
            0..255 of any dtype. It is not changed in place.

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
    mean = 255 * np.asarray(MEAN, "float32")
    std = 255 * np.asarray(STD, "float32")
    if isinstance(images, np.ndarray):
        return (images.astype("float32") - mean) / std
    mean, std = ops.convert_to_tensor(mean), ops.convert_to_tensor(std)
    return (ops.cast(images, "float32") - mean) / std


def preprocessing_layer(**kwargs):
    """The same standardisation as a layer without weights, for inside a model."""
    return keras.layers.Normalization(
        axis=-1,  # the global image data format must not move the channels
        mean=[255 * mean for mean in MEAN],
        variance=[(255 * std) ** 2 for std in STD],
        dtype="float32",  # bfloat16 cannot hold the mean of 0..255 pixels
        **kwargs,
    )


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
