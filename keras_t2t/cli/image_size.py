"""A size as it is written on a command line."""

import argparse


def add_image_size(parser, help):
    parser.add_argument(
        "--image-size", type=image_size, metavar="PIXELS or HEIGHTxWIDTH", help=help
    )


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
