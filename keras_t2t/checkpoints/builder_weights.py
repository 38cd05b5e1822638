"""The `weights` argument of the builders."""

from pathlib import Path

from keras_t2t.arguments import check_path
from keras_t2t.checkpoints import keras_file
from keras_t2t.checkpoints.loading import SUFFIXES, load_checkpoint
from keras_t2t.checkpoints.published_file import converted_file
from keras_t2t.checkpoints.registry import NAMES


def standardization(weights, published, default):
    """How the images of `weights` were standardised.

    Args:
        weights, published: as for `load_weights`.
        default: what is given for weights that do not tell.

    Returns:
        `(mean, std)` of pixels in 0..1, three numbers each.

    Raises:
        ValueError: if a `.keras` file is damaged.
    """
    if published is not None:
        return published.mean, published.std
    if str(weights).endswith(".keras") and Path(weights).is_file():
        return keras_file.read_standardization(weights) or default
    return default


def load_weights(model, weights, published=None, build=None):
    """Fills `model` as the `weights` argument of its builder asks.

    Args:
        model: a built `keras.Model`.
        weights: None (nothing is done), a name of published weights, or the path of
            a checkpoint.
        published: the row of the registry, where `weights` is such a name.
        build: function that builds the same architecture from `input_shape` and
            `classes`; needed for published weights.

    Raises:
        ValueError: if `weights` is none of these, or the file does not fit.
    """
    if weights is None:
        return
    if published is not None:
        load_checkpoint(model, converted_file(published, build))
        return
    check_path("weights", weights)
    if not str(weights).endswith(SUFFIXES) or not Path(weights).is_file():
        raise ValueError(
            f"`weights` must be None, one of {', '.join(map(repr, NAMES))}, "
            "hf://OWNER/NAME on the Hugging Face hub, or the path of an existing file "
            f"that ends in one of {', '.join(SUFFIXES)}, got {str(weights)!r}"
        )
    load_checkpoint(model, weights)
