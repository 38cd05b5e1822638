"""The window of a random resized crop, as torchvision and timm draw it."""

import math

TRIES = 10
RANDOM_NUMBERS = 2 * TRIES + 2  # that a window takes


def crop_window(height, width, numbers, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3)):
    """A window of random area and aspect ratio that lies inside an image.

    Area and ratio are drawn together up to 10 times, until the window fits; if it never
    does, it is the largest centred one whose ratio is within range.

    Args:
        numbers: (22,) floats, uniform in [0, 1): 10 areas, 10 ratios, top and left.
        scale: least and greatest area, as a fraction of the image's.
        ratio: least and greatest width / height; uniform in its logarithm.

    Returns:
        (top, left, height, width), integers.
    """
    height, width = int(height), int(width)
    areas, ratios, place = (
        numbers[:TRIES],
        numbers[TRIES : 2 * TRIES],
        numbers[2 * TRIES :],
    )
    ratio_logarithms = [math.log(end) for end in ratio]
    for area, aspect in zip(areas, ratios, strict=True):
        area = height * width * _between(scale, area)
        aspect = math.exp(_between(ratio_logarithms, aspect))
        window_height = round(math.sqrt(area / aspect))
        window_width = round(math.sqrt(area * aspect))
        if 0 < window_height <= height and 0 < window_width <= width:
            top, left = corner(
                place, (height - window_height + 1, width - window_width + 1)
            )
            return top, left, window_height, window_width
    # A wide image is cut to the greatest ratio, a tall one to the least.
    window_height = min(height, round(width / ratio[0]))
    window_width = min(width, round(height * ratio[1]))
    top, left = (height - window_height) // 2, (width - window_width) // 2
    return top, left, window_height, window_width


def padded_corner(height, width, image_size, padding, numbers):
    """Where a square is cut out of a resized image with a black border.

    Args:
        height, width: of the resized image, in pixels, without the border.

    Returns:
        (top, left) from the image's corner, `-padding` or more.
    """
    places = [int(side) - image_size + 2 * padding + 1 for side in (height, width)]
    return tuple(side - padding for side in corner(numbers[2 * TRIES :], places))


def corner(numbers, places):
    """One of the possible places along each axis, from uniform numbers in [0, 1)."""
    return tuple(
        int(number * count) for number, count in zip(numbers, places, strict=True)
    )


def _between(ends, number):
    return ends[0] + (ends[1] - ends[0]) * number
