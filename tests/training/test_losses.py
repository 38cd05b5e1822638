"""The losses that Keras does not have, against NumPy."""

import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax

from keras_t2t.training.losses import BalancedCrossentropy, BinaryCrossentropy


def test_rare_classes_count_as_much():
    random = np.random.default_rng(0)
    logits = random.normal(size=(6, 3)).astype("float32")
    labels = np.eye(3, dtype="float32")[[0, 1, 2, 0, 0, 1]]
    loss = BalancedCrossentropy([60, 30, 10], label_smoothing=0.1)
    weights = 100 / (3 * np.array([60, 30, 10]))
    targets = 0.9 * labels + 0.1 / 3
    expected = -(weights * targets * log_softmax(logits, axis=1)).sum(axis=1).mean()
    found = float(loss(labels, ops.convert_to_tensor(logits)))
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_both_classes_of_a_mixed_image_are_there(smoothing):
    logits = np.random.default_rng(0).normal(0, 4, (3, 5)).astype("float32")
    targets = np.array([[0.3, 0.7, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1e-4, 0.9999]])
    p = 1 / (1 + np.exp(-logits.astype("float64")))
    smooth = (targets > 0) * (1 - smoothing) + smoothing / 2
    expected = -(smooth * np.log(p) + (1 - smooth) * np.log(1 - p)).mean(axis=-1)
    loss = BinaryCrossentropy(smoothing, reduction=None)
    found = ops.convert_to_numpy(loss(targets.astype("float32"), logits))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
