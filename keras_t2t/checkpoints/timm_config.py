"""How timm prepared the images of a checkpoint: the config.json of its repository."""

from pathlib import Path
from typing import NamedTuple

from keras_t2t._ground.arguments import (
    check_choice,
    check_colours,
    check_share,
    shown,
)
from keras_t2t._ground.files import read_json
from keras_t2t._ground.run_files import CONFIG

FILTERS = ("bicubic", "bilinear")


class Preparation(NamedTuple):
    mean: tuple  # of pixels in 0..1, red, green, blue
    std: tuple
    crop: float  # as for `preprocessing.evaluation_transform`
    interpolation: str


def timm_preparation(path, cut=False):
    """What a config.json of timm says that is beside a file of weights.

    Args:
        path: of the weights.
        cut: whether its crop and interpolation will be used, and so must be ours.

    Returns:
        `Preparation`, or None where there is no such file.

    Raises:
        ValueError: in one line: one of its values is out of range.
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
