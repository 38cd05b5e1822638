"""The batches of a run, from any data set."""

import dataclasses
import importlib.util
import inspect

import numpy as np


def train_stream(dataset, config, first_step, shard):
    """Endless (images, soft targets) from step `first_step` on; this process's shard
    of each batch."""
    optional = {"augmentation": augmentation(config), "first_step": first_step}
    return dataset.train_batches(
        config.image_size,
        config.batch_size,
        config.seed,
        **_accepted(dataset.train_batches, {**optional, "shard": shard}),
    )


def validation_stream(dataset, config, shard):
    """One pass of (images, targets, weights), and the images in it with padding."""
    options = _accepted(dataset.validation_batches, {"shard": shard, "pad": True})
    batches = dataset.validation_batches(
        config.image_size, config.batch_size, **options
    )
    count = dataset.num_validation
    if options.get("pad"):
        count = int(np.ceil(count / config.batch_size)) * config.batch_size
    return batches, count


def augmentation(config):
    """The row of settings that the run names, with what it changes in it."""
    if importlib.util.find_spec("keras_t2t.data.augmentation") is None:
        return None
    from keras_t2t.data.augmentation import AUGMENTATIONS

    changes = {
        "mixup_alpha": config.mixup,
        "cutmix_alpha": config.cutmix,
        "erasing_probability": config.random_erasing,
    }
    if config.randaugment is not None:
        operations = AUGMENTATIONS["full"].num_operations
        changes["num_operations"] = operations if config.randaugment else 0
    given = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(AUGMENTATIONS[config.augmentation], **given)


# What may be left out for a data set that does not take it.
_NEUTRAL = {"first_step": 0, "shard": (0, 1)}


def _accepted(function, options):
    """Those of the options that a data set takes.

    Raises:
        ValueError: it cannot start in the middle, or be shared, and has to.
    """
    names = inspect.signature(function).parameters
    for name, neutral in _NEUTRAL.items():
        if name not in names and options.get(name, neutral) != neutral:
            raise ValueError(
                f"{name}={options[name]}: this data set cannot be "
                f"{'resumed' if name == 'first_step' else 'shared by processes'} yet"
            )
    return {name: value for name, value in options.items() if name in names}


def preview(dataset, config):
    """Draws the first training batch to the PNG `config.preview`."""
    from keras_t2t.data.preview import write_contact_sheet

    write_contact_sheet(
        dataset,
        config.preview,
        config.image_size,
        config.batch_size,
        config.seed,
        augmentation(config),
    )
