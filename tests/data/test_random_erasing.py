"""Random erasing: one rectangle of the authors' distribution, filled with noise."""

import math

import numpy as np
import pytest

from keras_t2t.data.tensorflow_reader.random_erasing import draw_box, random_erasing, tf
from keras_t2t.preprocessing import preprocess_input


def test_one_rectangle_is_noise_of_the_normalised_image(photographs):
    image = photographs[0][:64, :80].astype("float32")
    noise = []
    for number in range(60):
        erased = random_erasing(tf.constant(image), (0, number), 1.0).numpy()
        assert erased.dtype == np.float32 and erased.shape == image.shape
        changed = (erased != image).any(axis=-1)
        rows, columns = changed.any(axis=1), changed.any(axis=0)
        for side in (rows, columns):
            assert (np.diff(np.flatnonzero(side)) == 1).all()
        np.testing.assert_array_equal(changed, rows[:, None] & columns[None, :])
        noise.append(preprocess_input(erased)[changed])
    noise = np.concatenate(noise)
    assert len(noise) > 20_000
    # Neither cut nor rounded; a mean's standard error is below 0.01.
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=0.04)
    assert noise.min() < -3 and noise.max() > 3


def test_boxes_have_the_authors_distribution():
    @tf.function
    def draw_all():
        return tf.map_fn(
            lambda number: tf.stack(draw_box(200, 224, tf.stack([1, number]))),
            tf.range(3000),
        )

    top, left, height, width = draw_all().numpy().T
    assert (top >= 0).all() and (left >= 0).all()
    assert (height < 200).all() and (width < 224).all()
    assert (top + height <= 200).all() and (left + width <= 224).all()

    random, expected = np.random.default_rng(0), []
    while len(expected) < 20_000:
        area = 200 * 224 * random.uniform(0.02, 1 / 3)
        aspect = math.exp(random.uniform(math.log(0.3), math.log(1 / 0.3)))
        box = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if box[0] < 200 and box[1] < 224:
            place = random.integers(0, 201 - box[0]), random.integers(0, 225 - box[1])
            expected.append((*place, *box))
    quantiles = np.linspace(0.05, 0.95, 10)
    # A quantile of 3,000 draws has a standard error of some 1% of the side.
    np.testing.assert_allclose(
        np.quantile([top, left, height, width], quantiles, axis=1) / 224,
        np.quantile(expected, quantiles, axis=0) / 224,
        atol=0.04,
    )


def test_the_probability_counts_images_and_the_seed_decides(photographs):
    images = tf.constant(photographs[0][:16, :16])

    @tf.function
    def erase_all():
        return tf.map_fn(
            lambda number: random_erasing(images, tf.stack([2, number]), 0.25),
            tf.range(1000),
            fn_output_signature="float32",
        )

    first = erase_all().numpy()
    erased = (first != images.numpy()).any(axis=(1, 2, 3))
    assert 195 <= erased.sum() <= 305  # 250 +- 4 standard deviations
    np.testing.assert_array_equal(first, erase_all())


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_an_image_that_no_rectangle_fits_is_left_alone(size):
    image = tf.fill((*size, 3), 7.0)
    np.testing.assert_array_equal(random_erasing(image, (0, 0), 1.0), image)
