"""The batches of a run, from any data set."""

import dataclasses

from keras_t2t.data import AUGMENTATIONS
from keras_t2t.data.preview import write_contact_sheet
from keras_t2t.data.sharding import local_batch_size


def train_stream(dataset, config, first_step, shard):
    """Endless batches (images, soft targets) from step `first_step` on, each with only
    this process's shard."""
    return dataset.train_batches(
        config.image_size,
        config.batch_size,
        config.seed,
        augmentation=augmentation(config),
        first_step=first_step,
        shard=shard,
    )


def validation_stream(dataset, config, shard):
    """One pass of (images, targets, weights)."""
    return dataset.validation_batches(
        config.image_size,
        config.batch_size,
        shard,
        pad=True,
        crop=config.crop,
        interpolation=config.interpolation,
    )


def augmentation(config):
    """The augmentation that a complete config names, with the config's changes."""
    row = AUGMENTATIONS[config.augmentation]
    operations = row.num_operations or AUGMENTATIONS["full"].num_operations
    return dataclasses.replace(
        row,
        num_operations=operations if config.randaugment else 0,
        mixup_alpha=config.mixup,
        cutmix_alpha=config.cutmix,
        erasing_probability=config.random_erasing,
    )


def check_batch_size(config, shard):
    """Raises a ValueError unless a batch can be divided into shards, and a shard into
    the pairs that are mixed."""
    local_batch_size(config.batch_size, shard, augmentation(config).mixes)


def preview(dataset, config):
    """Draws the first training batch to the PNG `config.preview`."""
    sizes = config.image_size, config.batch_size, config.seed
    write_contact_sheet(dataset, config.preview, *sizes, augmentation(config))
