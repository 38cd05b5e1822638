"""Random erasing: one rectangle of the authors' distribution, filled with noise."""

import math

import numpy as np
import pytest

from keras_t2t.data.augmentation import Augmentation
from keras_t2t.data.draws.erasing import draw_boxes
from keras_t2t.data.examples import erase
from keras_t2t.preprocessing import preprocess_input
from tests.data.draws import (
    assert_is_rectangle,
    assert_same_distribution,
    image_draws,
)


def test_one_rectangle_is_noise_of_the_normalised_image(photographs):
    image = photographs[0][:64, :80].astype("float32")
    filling = []
    boxes = draw_boxes(np.random.default_rng(0), 60, 64, 80, 1.0)
    for number, box in enumerate(boxes):
        erase(erased := image.copy(), box, 0, number)
        changed = (erased != image).any(axis=-1)
        assert_is_rectangle(changed)
        filling.append(preprocess_input(erased)[changed])
    filling = np.concatenate(filling)
    assert len(filling) > 20_000
    # Neither cut nor rounded; a mean's standard error is below 0.01.
    np.testing.assert_allclose(filling.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose(filling.std(axis=0), 1, atol=0.04)
    assert filling.min() < -3 and filling.max() > 3


def test_boxes_have_the_authors_distribution():
    boxes = draw_boxes(np.random.default_rng(1), 3000, 200, 224, 1.0)
    corners, sizes = boxes[:, :2], boxes[:, 2:]
    assert (corners >= 0).all() and (sizes < (200, 224)).all()
    assert (corners + sizes <= (200, 224)).all()

    random, expected = np.random.default_rng(0), []
    while len(expected) < 20_000:
        area = 200 * 224 * random.uniform(0.02, 1 / 3)
        aspect = math.exp(random.uniform(math.log(0.3), math.log(1 / 0.3)))
        box = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if box[0] < 200 and box[1] < 224:
            place = random.integers(0, 201 - box[0]), random.integers(0, 225 - box[1])
            expected.append((*place, *box))
    # A quantile of 3,000 draws has a standard error of some 1% of the side.
    assert_same_distribution(boxes / 224, np.array(expected) / 224, atol=0.04)


def test_the_probability_counts_images():
    boxes = image_draws(np.arange(1000), 2, 16, Augmentation()).erased
    assert 195 <= boxes[:, 2:].all(axis=1).sum() <= 305  # 250 +- 4 deviations


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_an_image_that_no_rectangle_fits_is_left_alone(size):
    [box] = draw_boxes(np.random.default_rng(0), 1, *size, 1.0)
    erase(image := np.full((*size, 3), 7.0), box, 0, 0)
    assert (image == 7).all()
