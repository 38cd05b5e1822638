"""How images are prepared: as a file of weights tells, and by a model itself."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from keras_t2t._ground.arguments import check_choice, check_colours, check_share, shown
from keras_t2t._ground.files import read_json
from keras_t2t._ground.normalizations import NORMALIZATIONS
from keras_t2t._ground.run_files import BEST, CONFIG, is_record
from keras_t2t.checkpoints import keras_file
from keras_t2t.checkpoints.registry import row_of_file

FILTERS = ("bicubic", "bilinear")


class Preparation(NamedTuple):
    """How timm prepared the images of a checkpoint."""

    mean: tuple  # of pixels in 0..1, red, green, blue
    std: tuple
    crop: float  # as for `preprocessing.evaluation_transform`
    interpolation: str


def check_standardization(model, path):
    """Raises a ValueError if `model` standardises pixels in another way than a file of
    weights tells."""
    own = standardization_of(model)
    told = None if own is None else standardization_told(path)
    if told is not None and not np.allclose(own, told, rtol=1e-5, atol=0):
        raise ValueError(
            f"{shown(Path(path).name)} is for pixels standardised with mean and "
            f"standard deviation {np.round(told, 4).tolist()}, but the model "
            f"{model.name!r} standardises them with {np.round(own, 4).tolist()}: build "
            "it with include_preprocessing=True and weights=..., which takes the file's"
        )


def standardization_told(path):
    """What a file of weights tells of the images that it was trained on, by its layer
    of preprocessing, its published name or the config.json of timm or of its run:
    `(mean, std)`, or None.
    """
    if str(path).endswith(".keras"):
        return keras_file.read_standardization(path)
    told = row_of_file(path) or timm_preparation(path)
    if told is not None:
        return told.mean, told.std
    beside = Path(path).with_name(CONFIG)
    record = read_json(beside) if beside.is_file() else None
    by_run = is_record(record) or Path(path).name == BEST
    name = record.get("normalization") if by_run and isinstance(record, dict) else None
    return NORMALIZATIONS.get(name) if isinstance(name, str) else None


def timm_preparation(path, cut=False):
    """The `Preparation` in the config.json of timm's repository beside a file of
    weights, or None; with `cut`, its crop and interpolation must be ones that we have.
    """
    beside = Path(path).with_name(CONFIG)
    config = read_json(beside) if beside.is_file() else None
    config = config.get("pretrained_cfg") if isinstance(config, dict) else None
    if not isinstance(config, dict) or not {"mean", "std"} <= config.keys():
        return None
    mean, std = config["mean"], config["std"]
    crop, filter = config.get("crop_pct"), config.get("interpolation", "bicubic")
    crop = 0.9 if crop is None else crop
    try:
        check_colours("mean", mean)
        check_colours("std", std, above=0)
        if cut:
            check_share("crop_pct", crop)
            check_choice("interpolation", filter, FILTERS)
    except ValueError as error:
        raise ValueError(f"{shown(beside)}: {error}") from None
    return Preparation(tuple(map(float, mean)), tuple(map(float, std)), crop, filter)


def standardization_of(model):
    """Mean and standard deviation, of pixels in 0..1, by which a model of this package
    standardises its pixels itself: two tuples of three numbers, or None."""
    for layer in model._flatten_layers():
        named = layer.name == "preprocessing"
        if named and isinstance(layer, keras.layers.Normalization):
            if layer.input_mean is None:  # it learns them from data
                return None
            mean = np.ravel(layer.input_mean) / 255
            std = np.sqrt(np.ravel(layer.input_variance)) / 255
            return tuple(mean.tolist()), tuple(std.tolist())
    return None
