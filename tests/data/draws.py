"""What is drawn for some images."""

import numpy as np

from keras_t2t.data.dataset import Training
from keras_t2t.data.draws.image_draws import ImageDraws, draws_at


def image_draws(positions, seed, image_size, augmentation):
    """`ImageDraws` of arrays (images, ...) at some positions."""
    asked = Training(image_size, 1, seed, augmentation)
    drawn = [draws_at(position, asked) for position in positions]
    return ImageDraws(*map(np.stack, zip(*drawn, strict=True)))
