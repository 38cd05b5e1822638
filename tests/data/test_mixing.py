"""Mixup and CutMix against NumPy; their draws have the authors' distribution."""

import numpy as np
import pytest

from keras_t2t.data import Augmentation
from keras_t2t.data.draws.mixing import draw_mixing, kept_share
from keras_t2t.data.examples import mix_pair
from tests.data.draws import assert_is_rectangle, assert_same_distribution

MIXUP = Augmentation(cutmix_alpha=0)
CUTMIX = Augmentation(mixup_alpha=0)


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


def timm_boxes(height, width, random, number):
    """Shares kept when timm's box is drawn with NumPy."""
    shares = []
    for _ in range(number):
        side = np.sqrt(1 - random.beta(1, 1))
        lengths = int(height * side), int(width * side)
        centre = random.integers(0, height), random.integers(0, width)
        rows, columns = (
            min(c + cut // 2, size) - max(c - cut // 2, 0)
            for c, cut, size in zip(centre, lengths, (height, width), strict=True)
        )
        shares.append(1 - rows * columns / (height * width))
    return shares


def test_cutmix_cuts_one_box_of_timms_distribution():
    kept = drawn(CUTMIX, 20, 30)
    assert set(np.unique(kept)) == {0, 1}
    for one in kept[:50]:
        assert_is_rectangle(one == 0)
    expected = timm_boxes(20, 30, np.random.default_rng(0), 20_000)
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
