import numpy as np
import pytest
import torch

from keras_t2t.checkpoints.position_table import resize_table, table_grid
from tests.checkpoints import helpers

GRIDS = [((14, 14), (24, 24)), ((14, 14), (6, 10)), ((24, 24), (14, 14))]
GRIDS += [((6, 10), (10, 6)), ((3, 5), (4, 1)), ((1, 1), (2, 3))]


@pytest.mark.parametrize(("old", "new"), GRIDS)
def test_equals_torch_s_bicubic(old, new):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(1, 1 + old[0] * old[1], 8)).astype("float32")
    expected = helpers.resized_by_torch(torch.from_numpy(table), old, new).numpy()
    actual = resize_table(table, old, new)
    assert actual.dtype == np.float32
    np.testing.assert_array_equal(actual[:, 0], table[:, 0])
    # torch weighs in float32, this in float64
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


def test_the_grid_of_a_table():
    assert table_grid(197, None, (7, 28)) == (14, 14)  # square where it can be
    assert table_grid(61, None, (6, 10)) == (6, 10)  # else the model's
    assert table_grid(61, (10, 6), (6, 10)) == (10, 6)  # what is said wins
    with pytest.raises(ValueError, match=r"60 patch positions.*`grid=\(rows, columns"):
        table_grid(61, None, (14, 14))
    with pytest.raises(ValueError, match=r"60 patch positions, but `grid` is \(5, 5\)"):
        table_grid(61, (5, 5), (14, 14))
