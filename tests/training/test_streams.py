"""Where a run's batches start, and how its augmentation is named."""

import numpy as np
import pytest

from keras_t2t.data import open_dataset
from keras_t2t.training import TrainingConfig
from keras_t2t.training.streams import augmentation, train_stream


def test_a_stream_starts_in_the_middle():
    config = TrainingConfig(batch_size=64, image_size=16).with_defaults("digits", 10)
    digits = open_dataset("digits")
    whole = train_stream(digits, config, first_step=0, shard=(0, 1))
    later = train_stream(digits, config, first_step=21, shard=(0, 1))
    for step in range(3):  # into the second pass over the images
        for one, other in zip(whole[21 + step], later[step], strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_augmentation_is_a_row_with_changes():
    module = pytest.importorskip("keras_t2t.data.augmentation")
    config = TrainingConfig(mixup=0.2, random_erasing=0.0, randaugment=False)
    settings = augmentation(config.with_defaults("imagenet2012", 1000))
    assert (settings.mixup_alpha, settings.cutmix_alpha) == (0.2, 1.0)
    assert (settings.erasing_probability, settings.num_operations) == (0, 0)
    digits = augmentation(TrainingConfig().with_defaults("digits", 10))
    assert digits == module.AUGMENTATIONS["none"]


class FromTheStart:
    def train_batches(self, image_size, batch_size, seed):
        return "a stream"


@pytest.mark.parametrize(
    "place", [{"first_step": 3, "shard": (0, 1)}, {"first_step": 0, "shard": (1, 2)}]
)
def test_a_data_set_that_cannot_be_resumed_or_shared_says_so(place):
    """Rather than to give every process, or every start, the same images."""
    config = TrainingConfig().with_defaults("digits", 10)
    with pytest.raises(ValueError, match="this data set cannot be"):
        train_stream(FromTheStart(), config, **place)
    assert train_stream(FromTheStart(), config, 0, (0, 1)) == "a stream"
