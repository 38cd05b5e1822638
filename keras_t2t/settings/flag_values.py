"""Values from the words of a command line; for argparse, which reports the errors."""

import argparse
import os
from pathlib import Path


def image_size(text):
    """`(height, width)` from `224` or `192x256`."""
    try:
        sides = [int(side) for side in text.split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise argparse.ArgumentTypeError(
            f"must be PIXELS or HEIGHTxWIDTH, such as 224 or 192x256, got {text!r}"
        )
    return sides[0], sides[-1]


def square(text):
    """The side of a square, from `224` or `224x224`."""
    height, width = image_size(text)
    if height != width:
        raise argparse.ArgumentTypeError(
            "must be a square, since training and evaluation use squares, such as 224 "
            f"or 224x224, got {text!r}"
        )
    return height


def user_path(text):
    """A path in which ~ is the home folder: no shell says so in `--output=~/x`."""
    return Path(os.path.expanduser(text))


def classifier_weights(text):
    """As `find_classifier` takes them: `none` is `random`."""
    return "random" if text == "none" else os.path.expanduser(text)


def start_weights(text):
    """What a run starts from; None for `none` or `random`."""
    return None if text in ("none", "random") else os.path.expanduser(text)
