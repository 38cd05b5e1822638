"""Resizes position tables to another token grid (NumPy only)."""

import math

import numpy as np

CUBIC = -0.75  # Keys' coefficient, as torch has it


def bicubic_matrix(old, new):
    """Weights `(new, old)` of bicubic interpolation along one side.

    Equal to torch's `interpolate(mode="bicubic", align_corners=False)`: pixel centres
    at half steps, border values repeated, no antialias when shrinking.
    """
    centres = (np.arange(new) + 0.5) * (old / new) - 0.5
    first = np.floor(centres).astype(int)
    matrix = np.zeros((new, old))
    for offset in (-1, 0, 1, 2):
        weights = _cubic(np.abs(centres - (first + offset)))
        columns = np.clip(first + offset, 0, old - 1)
        np.add.at(matrix, (np.arange(new), columns), weights)
    return matrix


def _cubic(distance):
    """Keys' cubic convolution kernel at distances in [0, 2]."""
    near = ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1
    far = CUBIC * (((distance - 5) * distance + 8) * distance - 4)
    return np.where(distance <= 1, near, far)


def resize_table(table, old_grid, new_grid):
    """Resizes a position table as the authors do: class row kept, grid bicubic.

    A table is an array `(1, 1 + rows * columns, dim)`, a grid `(rows, columns)`; the
    result is in float32.
    """
    rows, columns = old_grid
    grid = np.asarray(table[0, 1:], "float64").reshape(rows, columns, -1)
    grid = np.tensordot(bicubic_matrix(rows, new_grid[0]), grid, axes=(1, 0))
    grid = np.tensordot(bicubic_matrix(columns, new_grid[1]), grid, axes=(1, 1))
    grid = grid.swapaxes(0, 1).reshape(math.prod(new_grid), -1)
    return np.concatenate([table[0, :1], grid])[None].astype("float32")


def table_grid(positions, grid, model_grid):
    """The grid `(rows, columns)` of a table with `positions` rows, including the class
    token's.

    `grid` is what the file or the caller says, or None. Foreign files do not say it:
    their grid is assumed to be square, as in all released files, or if that is
    impossible, to be the model's.
    """
    patches = positions - 1
    side = math.isqrt(patches)
    if grid is not None:
        if math.prod(grid) == patches:
            return tuple(grid)
        expected = f"but `grid` is {tuple(grid)}"
    elif side * side == patches:
        return (side, side)
    elif math.prod(model_grid) == patches:
        return tuple(model_grid)
    else:
        expected = "no square: give `grid=(rows, columns)` to load_checkpoint"
    raise ValueError(
        f"the checkpoint's position table has {patches} patch positions, {expected}"
    )
