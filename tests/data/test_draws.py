"""What is drawn has the distribution of torchvision, timm and the authors, and is done
to the image: windows of crops, erased rectangles, mixup and CutMix."""

import math

import numpy as np
import pytest

from keras_t2t.data import Augmentation
from keras_t2t.data.draws.crop import RANDOM_NUMBERS, crop_window
from keras_t2t.data.draws.erasing import draw_boxes
from keras_t2t.data.draws.mixing import draw_mixing, kept_share
from keras_t2t.data.examples import erase, mix_pair
from keras_t2t.preprocessing import preprocess_input
from tests.data.draws import image_draws

MIXUP = Augmentation(cutmix_alpha=0)
CUTMIX = Augmentation(mixup_alpha=0)


def assert_same_distribution(ours, theirs, atol):
    """Quantiles along the first axis; `atol` is four of their standard errors."""
    quantiles = np.linspace(0.05, 0.95, 19)
    ours, theirs = (np.quantile(draws, quantiles, axis=0) for draws in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, atol=atol)


def assert_is_rectangle(inside):
    """Of a mask (height, width)."""
    rows, columns = inside.any(axis=1), inside.any(axis=0)
    np.testing.assert_array_equal(inside, rows[:, None] & columns)
    for side in (rows, columns):
        assert (np.diff(np.flatnonzero(side)) == 1).all()  # without gaps


def draw(height, width, draws=4000):
    """(draws, 4): top, left, height, width of windows."""
    numbers = np.random.default_rng(0).random((draws, RANDOM_NUMBERS))
    return np.array([crop_window(height, width, row) for row in numbers])


def expected_windows(height, width, areas, ratios, most, draws):
    """torchvision's RandomResizedCrop.get_params, drawn with NumPy, without its loop's
    fallback (which a 375 x 500 image needs in less than one draw of a million).

    Args:
        most: the greatest height and width.
    """
    random, windows = np.random.default_rng(0), []
    while len(windows) < draws:
        area = height * width * random.uniform(*areas)
        ratio = math.exp(random.uniform(*map(math.log, ratios)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < h <= most[0] and 0 < w <= most[1]:
            top = random.integers(0, height - h + 1)
            windows.append((top, random.integers(0, width - w + 1), h, w))
    return np.array(windows)


def test_windows_are_torchvisions():
    windows = draw(375, 500)
    top, left, height, width = windows.T
    assert (top >= 0).all() and (top + height <= 375).all()
    assert (left >= 0).all() and (left + width <= 500).all()
    # Sides are rounded to whole pixels: half a pixel of each is allowed for.
    assert ((height + 0.5) * (width + 0.5) >= 0.08 * 375 * 500).all()
    assert ((width + 0.5) / (height - 0.5) >= 3 / 4).all()
    assert ((width - 0.5) / (height + 0.5) <= 4 / 3).all()

    sides = 375, 500, 375, 500
    ranges = (0.08, 1), (3 / 4, 4 / 3)
    expected = expected_windows(375, 500, *ranges, (375, 500), draws=4000)
    # Between two samples of 4,000, a quantile has a standard error of some 1%.
    assert_same_distribution(windows / sides, expected / sides, atol=0.04)
    # Every offset occurs.
    windows = draw(4, 4, draws=1000)
    small = windows[(windows[:, 2:] == 2).all(axis=1), :2]
    assert {tuple(w) for w in small} == {(i, j) for i in range(3) for j in range(3)}


def test_an_image_that_no_window_fits_is_cut_at_its_centre():
    for size, window in {
        (10, 1000): (0, 493, 10, 13),
        (1000, 10): (493, 0, 13, 10),
        (1, 300): (0, 149, 1, 1),
        (1, 1): (0, 0, 1, 1),
    }.items():
        assert {tuple(w) for w in draw(*size, draws=20)} == {window}


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
    ranges = (0.02, 1 / 3), (0.3, 1 / 0.3)
    expected = expected_windows(200, 224, *ranges, (199, 223), draws=20_000)
    # A quantile of 3,000 draws has a standard error of some 1% of the side.
    assert_same_distribution(boxes / 224, expected / 224, atol=0.04)
    # Some of all images have one, and none that it does not fit.
    boxes = image_draws(np.arange(1000), 2, 16, Augmentation()).erased
    assert 195 <= boxes[:, 2:].all(axis=1).sum() <= 305  # 250 +- 4 deviations
    for size in ((1, 1), (1, 40), (40, 1)):
        [box] = draw_boxes(np.random.default_rng(0), 1, *size, 1.0)
        erase(image := np.full((*size, 3), 7.0), box, 0, 0)
        assert (image == 7).all()


def kept_pixels(mixing, height, width):
    """(height, width): how much of its own each pixel of an image keeps."""
    kept = np.full((height, width), mixing.kept)
    top, left, rows, columns = mixing.box
    kept[top : top + rows, left : left + columns] = 0
    return kept


def drawn(augmentation, *size, number=2000):
    """(number, height, width): what is kept in so many batches."""
    random = np.random.default_rng(0)
    mixings = [draw_mixing(random, *size, augmentation) for _ in range(number)]
    return np.stack([kept_pixels(mixing, *size) for mixing in mixings])


@pytest.mark.parametrize("augmentation", [MIXUP, CUTMIX])
def test_images_and_targets_against_numpy(photographs, augmentation):
    images = np.stack([photo[100:164, 200:280] for photo in photographs])
    targets = np.eye(3, dtype="float32")[[2, 0]]
    random = np.random.default_rng(4)
    for _ in range(5):
        mixing = draw_mixing(random, 64, 80, augmentation)
        kept = kept_pixels(mixing, 64, 80)[None, :, :, None]
        share = kept_share(mixing, 64, 80)
        assert abs(share - kept.mean()) < 1e-5  # a mean over float32 pixels
        mixed, soft = mix_pair(images, targets, mixing)
        expected = kept * images + (1 - kept) * images[::-1]
        assert mixed.dtype == np.float32 and soft.dtype == np.float32
        np.testing.assert_allclose(mixed, expected, atol=1e-3)  # float32 of 0..255
        expected = share * targets + (1 - share) * targets[::-1]
        np.testing.assert_allclose(soft, expected, atol=1e-6)


def test_mixup_keeps_one_share_drawn_from_beta():
    kept = drawn(MIXUP, 2, 2)
    assert (np.ptp(kept, axis=(1, 2)) == 0).all()
    expected = np.random.default_rng(0).beta(0.8, 0.8, size=200_000)
    # 2,000 draws: a quantile's standard error is some 0.01.
    assert_same_distribution(kept[:, 0, 0], expected, atol=0.045)


def timm_boxes(*size, number):
    """Shares kept when timm's box is drawn with NumPy."""
    random = np.random.default_rng(0)
    side = np.sqrt(1 - random.beta(1, 1, (number, 1)))
    half = (size * side).astype(int) // 2
    centre = random.integers(0, size, (number, 2))
    cut = np.minimum(centre + half, size) - np.maximum(centre - half, 0)
    return 1 - cut.prod(axis=1) / np.prod(size)


def test_cutmix_cuts_one_box_of_timms_distribution():
    kept = drawn(CUTMIX, 20, 30)
    assert set(np.unique(kept)) == {0, 1}
    for one in kept[:50]:
        assert_is_rectangle(one == 0)
    expected = timm_boxes(20, 30, number=20_000)
    assert_same_distribution(kept.mean(axis=(1, 2)), expected, atol=0.045)
    # Every corner is reached: the box may lie partly outside.
    assert not kept[:, [0, 0, -1, -1], [0, -1, 0, -1]].min(axis=0).any()


def test_one_of_them_per_batch():
    cut = np.array(
        [set(np.unique(one)) <= {0, 1} for one in drawn(Augmentation(), 8, 8)]
    )
    assert 0.45 < cut.mean() < 0.55
    rarely = drawn(Augmentation(mixing_probability=0.3), 8, 8)
    # 0.7, and 5% more: CutMix boxes of no pixels.
    assert 0.66 < (rarely == 1).all(axis=(1, 2)).mean() < 0.8
