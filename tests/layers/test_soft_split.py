"""SoftSplit against a plain loop."""

import numpy as np
import pytest
from keras import ops

from keras_t2t.layers import SoftSplit


@pytest.mark.parametrize(("kernel_size", "strides", "padding"), [(7, 4, 2), (3, 2, 1)])
def test_patches_equal_a_loop_over_the_padded_image(kernel_size, strides, padding):
    images = np.random.default_rng(0).normal(size=(2, 11, 18, 3)).astype("float32")
    padded = np.pad(images, ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0)))
    rows = range(0, padded.shape[1] - kernel_size + 1, strides)
    columns = range(0, padded.shape[2] - kernel_size + 1, strides)
    patches = [
        padded[:, row : row + kernel_size, column : column + kernel_size].reshape(2, -1)
        for row in rows
        for column in columns
    ]
    expected = np.stack(patches, axis=1).reshape(2, len(rows), len(columns), -1)
    actual = SoftSplit(kernel_size, strides, padding)(ops.convert_to_tensor(images))
    # Pixels are copied, not computed.
    np.testing.assert_array_equal(ops.convert_to_numpy(actual), expected)
