"""Random erasing (Zhong et al., 2020) as the authors train: noise, not a colour."""

import math

import numpy as np

AREA = (0.02, 1 / 3)  # as a fraction of the image's
ASPECT = (0.3, 1 / 0.3)  # height / width, uniform in its logarithm
TRIES = 10


def draw_boxes(random, images, height, width, probability):
    """One rectangle for each image with this probability, smaller than it in height and
    in width: (images, 4) int32, top, left, height, width, 0 x 0 for none.

    Area and aspect ratio are drawn together up to 10 times, until it fits.
    """
    chosen = random.random(images) < probability
    area, aspect = random.random((2, images, TRIES))
    place = random.random((images, 2))
    area = height * width * (AREA[0] + (AREA[1] - AREA[0]) * area)
    low, high = map(math.log, ASPECT)
    aspect = np.exp(low + (high - low) * aspect)
    sides = np.round(np.sqrt([area * aspect, area / aspect])).astype("int32")
    fits = (sides[0] < height) & (sides[1] < width)
    first = fits.argmax(axis=1)
    size = sides[:, np.arange(images), first].T
    size[~(chosen & fits.any(axis=1))] = 0
    corner = (place * (np.array([height, width]) - size + 1)).astype("int32")
    return np.concatenate([corner, size], axis=1)
