"""What is drawn for some images, and how it is compared."""

import numpy as np

from keras_t2t.data.draws.image_draws import ImageDraws, draws_at


def image_draws(positions, *settings):
    """`ImageDraws` of arrays (images, ...) at some positions."""
    drawn = [draws_at(position, *settings) for position in positions]
    return ImageDraws(*map(np.stack, zip(*drawn, strict=True)))


def assert_same_distribution(ours, theirs, atol):
    """Quantiles along the first axis; `atol` is four of their standard errors."""
    quantiles = np.linspace(0.05, 0.95, 19)
    ours, theirs = (np.quantile(draws, quantiles, axis=0) for draws in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, atol=atol)


def assert_is_rectangle(inside):
    """Of a mask (height, width)."""
    rows, columns = inside.any(axis=1), inside.any(axis=0)
    np.testing.assert_array_equal(inside, rows[:, None] & columns)
    for side in (rows, columns):
        assert (np.diff(np.flatnonzero(side)) == 1).all()  # without gaps
