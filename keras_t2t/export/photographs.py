"""Photographs for verification, and images for calibration."""

import os
from pathlib import Path

import numpy as np

from keras_t2t._ground.listing import list_images
from keras_t2t.preprocessing import evaluation_transform

CALIBRATION_IMAGES = 128
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif")


def photographs(shape):
    """scikit-learn's two photographs and their mirror images, uint8 `(4, height, width,
    channels)`; synthetic images if scikit-learn or Pillow is missing, or the model does
    not have 3 channels."""
    height, width, channels = shape
    images = sample_images(height, width) if channels == 3 else None
    if images is None:
        images = synthetic_images(shape)
    return np.concatenate([images, images[:, :, ::-1]])


def sample_images(height, width):
    try:
        from PIL import Image
        from sklearn.datasets import load_sample_images
    except ImportError:
        return None
    # As Pillow images, not arrays, for the same transform as files.
    images = [Image.fromarray(image) for image in load_sample_images().images]
    return np.stack([evaluation_transform(image, (height, width)) for image in images])


def synthetic_images(shape):
    """Images with flat areas, edges, a gradient and grain, as photographs have."""
    height, width, channels = shape
    rows = np.linspace(0, 1, height)[:, None, None]
    columns = np.linspace(0, 1, width)[None, :, None]
    tints = np.linspace(0.5, 1, channels)
    sky = 200 * rows * tints + 30 * columns
    disc = (rows - 0.4) ** 2 + (columns - 0.6) ** 2 < 0.05
    grain = np.random.default_rng(0).normal(0, 4, (height, width, channels))
    image = np.where(disc, 240 * tints[::-1], sky)
    image = np.clip(image + grain * (rows > 0.5), 0, 255).astype("uint8")
    return np.stack([image, 255 - image[:, ::-1]])


def calibration_images(calibration, shape, *transform):
    """The images that `calibration` of `export_model` names, uint8 `(images, height,
    width, channels)`; None for None. `transform` is for `evaluation_transform`."""
    if calibration is None:
        return None
    height, width, channels = shape
    if isinstance(calibration, np.ndarray):
        if calibration.dtype != "uint8" or calibration.shape[1:] != tuple(shape):
            raise ValueError(
                f"`calibration` must be uint8 of shape (images, {height}, {width}, "
                f"{channels}), got {calibration.dtype} of {calibration.shape}"
            )
        if len(calibration) == 0:
            raise ValueError("`calibration` must have at least one image, got none")
        return calibration
    files = []
    if isinstance(calibration, (str, os.PathLike)) and Path(calibration).is_dir():
        files = list_images(calibration)[0]
        files = [file for file in files if file.lower().endswith(SUFFIXES)]
    if not files or channels != 3:
        raise ValueError(
            "`calibration` must be a folder with images, for a model of 3 channels, or "
            f"an array, got {str(calibration)[:200]!r} with {len(files)} images"
        )
    # Spread over the folder, since its first files may all be of one class.
    chosen = np.linspace(0, len(files) - 1, min(len(files), CALIBRATION_IMAGES))
    files = [files[i] for i in chosen.astype(int)]
    size = height, width
    return np.stack([evaluation_transform(file, size, *transform) for file in files])
