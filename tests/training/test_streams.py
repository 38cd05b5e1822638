"""Where a run's batches start, and how its augmentation is named."""

import numpy as np
import pytest

from keras_t2t.data import AUGMENTATIONS, open_dataset
from keras_t2t.training import TrainingConfig
from keras_t2t.training.record import resumed_config
from keras_t2t.training.streams import augmentation, check_batch_size, train_stream


def test_a_stream_starts_in_the_middle():
    config = TrainingConfig(batch_size=64, image_size=16).with_defaults("digits", 10)
    digits = open_dataset("digits")
    whole = train_stream(digits, config, first_step=0, shard=(0, 1))
    later = train_stream(digits, config, first_step=21, shard=(0, 1))
    for step in range(3):  # into the second pass over the images
        for one, other in zip(whole[21 + step], later[step], strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_augmentation_is_a_row_with_changes():
    config = TrainingConfig(mixup=0.2, random_erasing=0.0, randaugment=False)
    settings = augmentation(config.with_defaults("imagenet2012", 1000))
    assert (settings.mixup_alpha, settings.cutmix_alpha) == (0.2, 1.0)
    assert (settings.erasing_probability, settings.num_operations) == (0, 0)
    digits = augmentation(TrainingConfig().with_defaults("digits", 10))
    assert digits == AUGMENTATIONS["none"]


def test_a_batch_that_is_mixed_divides_into_pairs():
    config = TrainingConfig(batch_size=6, model="T2TViT7")
    full = config.with_defaults("imagenet2012", 1000)
    check_batch_size(full, shard=(0, 1))
    with pytest.raises(ValueError, match=r"batch_size=6 must be divisible by 4: mixup"):
        check_batch_size(full, shard=(0, 2))
    plain = config.with_defaults("digits", 10)
    check_batch_size(plain, shard=(0, 2))


def test_a_run_goes_on_with_its_reader_unless_told():
    record = {"reader": "grain", "model": "T2TViT7"}
    asked = TrainingConfig(dataset="digits")
    assert resumed_config(asked, record).reader == "grain"
    told = TrainingConfig(dataset="digits", reader="tensorflow")
    assert resumed_config(told, record).reader == "tensorflow"
    assert resumed_config(asked, {"model": "T2TViT7"}).reader is None
