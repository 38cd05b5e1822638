"""Conversions between the layout of a torch tensor and that of the Keras weight.

A torch Linear stores (out, in) where Dense stores (in, out); a convolution
(out, in, rows, columns) where Keras has (rows, columns, in, out); and a torch unfold
orders a patch (channel, row, column) where `SoftSplit` orders it (row, column,
channel). So weights that read a long patch vector are permuted.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Layout(NamedTuple):
    """A pair of functions, torch array -> Keras array and back."""

    to_keras: Callable
    to_torch: Callable
    any_size: bool = True  # whether both take arrays of every size


def _same(array):
    return array


SAME = Layout(_same, _same)
LINEAR = Layout(np.transpose, np.transpose)
CONVOLUTION = Layout(
    lambda tensor: np.transpose(tensor, (2, 3, 1, 0)),
    lambda array: np.transpose(array, (3, 2, 0, 1)),
)
# A depthwise convolution of kernel size 1: (channels, 1, 1) and (channels,).
CHANNEL_SCALE = Layout(
    lambda tensor: tensor[:, 0, 0], lambda array: array[:, None, None]
)


def patch_vector(size):
    """Vectors over patches of `size` rows and columns, such as a norm's."""

    def to_keras(tensor):
        tensor = tensor.reshape(*tensor.shape[:-1], -1, size, size)
        tensor = np.moveaxis(tensor, -3, -1)
        return tensor.reshape(*tensor.shape[:-3], -1)

    def to_torch(array):
        array = array.reshape(*array.shape[:-1], size, size, -1)
        array = np.moveaxis(array, -1, -3)
        return array.reshape(*array.shape[:-3], -1)

    return Layout(to_keras, to_torch, any_size=False)


def patch_linear(size):
    """The kernel of a Linear that reads patches of `size` rows and columns."""
    vector = patch_vector(size)
    return Layout(
        lambda tensor: vector.to_keras(tensor).T,
        lambda array: vector.to_torch(array.T),
        any_size=False,
    )
