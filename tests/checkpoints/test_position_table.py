import numpy as np
import pytest
import torch

from keras_t2t.checkpoints.position_table import resize_table, table_grid

GRIDS = [((14, 14), (24, 24)), ((14, 14), (6, 10)), ((24, 24), (14, 14))]
GRIDS += [((6, 10), (10, 6)), ((3, 5), (4, 1)), ((1, 1), (2, 3))]


@pytest.mark.parametrize(("old", "new"), GRIDS)
def test_equals_torch_s_bicubic(old, new):
    rng = np.random.default_rng(0)
    table = rng.normal(size=(1, 1 + old[0] * old[1], 8)).astype("float32")
    grid = torch.from_numpy(table[:, 1:].reshape(1, *old, 8)).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(
        grid, size=new, mode="bicubic", align_corners=False
    )
    expected = expected.permute(0, 2, 3, 1).reshape(1, -1, 8).numpy()
    actual = resize_table(table, old, new)
    assert actual.dtype == np.float32
    np.testing.assert_array_equal(actual[:, 0], table[:, 0])
    # torch weighs in float32, this in float64
    np.testing.assert_allclose(actual[:, 1:], expected, rtol=0, atol=1e-5)


def test_a_table_on_its_own_grid_stays_as_it_is():
    table = np.random.default_rng(0).normal(size=(1, 61, 4)).astype("float32")
    np.testing.assert_array_equal(resize_table(table, (6, 10), (6, 10)), table)


def test_the_grid_of_a_table():
    assert table_grid(197, None, (7, 28)) == (14, 14)  # square where it can be
    assert table_grid(61, None, (6, 10)) == (6, 10)  # else the model's
    assert table_grid(61, (10, 6), (6, 10)) == (10, 6)  # what is said wins
    with pytest.raises(ValueError, match=r"60 patch positions.*`grid=\(rows, columns"):
        table_grid(61, None, (14, 14))
    with pytest.raises(ValueError, match=r"60 patch positions, but `grid` is \(5, 5\)"):
        table_grid(61, (5, 5), (14, 14))
