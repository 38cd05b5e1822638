"""What is drawn for some images."""

import numpy as np

from keras_t2t.data.draws.image_draws import ImageDraws, draws_at


def image_draws(positions, *settings):
    """`ImageDraws` of arrays (images, ...) at some positions."""
    drawn = [draws_at(position, *settings) for position in positions]
    return ImageDraws(*map(np.stack, zip(*drawn, strict=True)))
