"""What a run takes from its settings: augmentation, batches, the reader."""

import pytest

from keras_t2t.data import AUGMENTATIONS
from keras_t2t.data.sharding import local_batch_size
from keras_t2t.training import TrainingConfig
from keras_t2t.training.planning import augmentation
from keras_t2t.training.record import resumed_config

pytestmark = pytest.mark.once


def test_the_augmentation_is_a_row_with_changes():
    config = TrainingConfig(mixup=0.2, random_erasing=0.0, randaugment=False)
    settings = augmentation(config.with_defaults("imagenet2012", 1000))
    assert (settings.mixup_alpha, settings.cutmix_alpha) == (0.2, 1.0)
    assert (settings.erasing_probability, settings.num_operations) == (0, 0)
    digits = augmentation(TrainingConfig().with_defaults("digits", 10))
    assert digits == AUGMENTATIONS["none"]


def test_a_batch_that_is_mixed_divides_into_pairs():
    config = TrainingConfig(model="T2TViT7")
    full = augmentation(config.with_defaults("imagenet2012", 1000))
    local_batch_size(6, (0, 1), full.mixes)
    with pytest.raises(ValueError, match=r"batch_size=6 must be divisible by 4: mixup"):
        local_batch_size(6, (0, 2), full.mixes)
    plain = augmentation(config.with_defaults("digits", 10))
    local_batch_size(6, (0, 2), plain.mixes)


def test_a_run_goes_on_with_its_reader_unless_told():
    record = {"reader": "grain", "model": "T2TViT7"}
    asked = TrainingConfig(dataset="digits")
    assert resumed_config(asked, record).reader == "grain"
    told = TrainingConfig(dataset="digits", reader="tensorflow")
    assert resumed_config(told, record).reader == "tensorflow"
    assert resumed_config(asked, {"model": "T2TViT7"}).reader is None
