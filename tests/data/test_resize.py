"""Resizing equals Pillow's in both filters, larger and smaller."""

import numpy as np
import pytest
from PIL import Image

from keras_t2t.data.tensorflow_reader.resize import resize_and_cut


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(300, 410), (97, 60), (30, 20), (1, 5)])
def test_resize_equals_pillow(photographs, method, shape):
    for photo in photographs:
        window = photo[100 : 100 + shape[0], 30 : 30 + shape[1]]
        scale = [np.float32(64 / side) for side in shape]
        image = resize_and_cut(window, 64, scale, method=method).numpy()
        expected = Image.fromarray(window).resize(
            (64, 64), {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}[method]
        )
        assert image.dtype == np.uint8
        # Two grey levels: Pillow computes with integers.
        assert np.abs(image.astype(int) - np.asarray(expected)).max() <= 2
