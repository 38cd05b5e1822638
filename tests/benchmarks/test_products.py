"""The benchmark of a backbone's products multiplies what the model multiplies."""

import keras
import pytest

import keras_t2t
from benchmarks import products
from keras_t2t.counting import summarize

BACKEND = keras.backend.backend()


@pytest.mark.nightly
def test_the_products_are_those_of_the_blocks_dense_layers():
    # 32 px: four tokens and the class token, where every other layer is small.
    rows = products.compare("training", "T2TViT7", 2, 32, 1, backends=[BACKEND])
    (reference, whole, *_, one), (name, milliseconds, rate, most) = rows
    assert (reference, one, name) == ("reference", 1.0, BACKEND)
    model = keras_t2t.T2TViT7(input_shape=(32, 32, 3))
    rows = summarize(model, print_fn=None).rows
    blocks = sum(row.macs for row in rows if "block" in row.name)
    counted = blocks - 7 * 2 * 5 * 5 * 256  # attention's own products, of five tokens
    macs = rate * 1e9 * milliseconds / 1000  # of two images, a product and gradients
    assert abs(macs / (2 * 3 * counted) - 1) < 1e-6
    assert abs(most * milliseconds / whole - 1) < 1e-6
