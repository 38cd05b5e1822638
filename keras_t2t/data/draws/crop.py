"""The window of a random resized crop, as torchvision and timm draw it."""

import math

TRIES = 10
RANDOM_NUMBERS = 2 * TRIES + 2  # that a window takes


def crop_window(height, width, numbers, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3)):
    """(top, left, height, width) of a window of random area (a share of the image's, in
    `scale`) and width / height (in `ratio`, uniform in its logarithm).

    Area and ratio are drawn together up to 10 times, until the window fits; if it never
    does, it is the largest centred one whose ratio is within range. The (22,) numbers,
    uniform in [0, 1), are 10 areas, 10 ratios, top and left.
    """
    ratio_logarithms = [math.log(end) for end in ratio]
    for area, aspect in zip(numbers[:TRIES], numbers[TRIES : 2 * TRIES], strict=True):
        area = height * width * _between(scale, area)
        aspect = math.exp(_between(ratio_logarithms, aspect))
        window_height = round(math.sqrt(area / aspect))
        window_width = round(math.sqrt(area * aspect))
        if 0 < window_height <= height and 0 < window_width <= width:
            places = height - window_height + 1, width - window_width + 1
            return *corner(numbers, places), window_height, window_width
    # A wide image is cut to the greatest ratio, a tall one to the least.
    window_height = min(height, round(width / ratio[0]))
    window_width = min(width, round(height * ratio[1]))
    top, left = (height - window_height) // 2, (width - window_width) // 2
    return top, left, window_height, window_width


def padded_corner(height, width, image_size, padding, numbers):
    """Where a square is cut out of a resized image with a black border: (top, left)
    from the corner of the image without it, `-padding` or more."""
    places = [side - image_size + 2 * padding + 1 for side in (height, width)]
    return tuple(side - padding for side in corner(numbers, places))


def corner(numbers, places):
    """One of so many possible places along each axis, by the last two numbers."""
    drawn = zip(numbers[2 * TRIES :], places, strict=True)
    return tuple(int(number * count) for number, count in drawn)


def _between(ends, number):
    return ends[0] + (ends[1] - ends[0]) * number
