"""The weights that a run starts from."""

import dataclasses
import math

import numpy as np

from keras_t2t._ground.arguments import shown
from keras_t2t._ground.normalizations import NORMALIZATIONS
from keras_t2t.classifier import RANDOM, find_classifier
from keras_t2t.models.head import head_layers
from keras_t2t.settings.recorded import COUNTS, same_images
from keras_t2t.training.accuracy import composed
from keras_t2t.variants import RESNET_VARIANTS


def pretrained(config):
    """The `Classifier` that the run starts from."""
    if config.weights == RANDOM:
        raise ValueError(f"weights={RANDOM!r}: a run without weights starts from these")
    source = find_classifier(config.weights, config.model, needs_head=False)
    if source.variant in RESNET_VARIANTS:
        raise ValueError(
            f"weights={config.weights!r} are of a {source.variant}; fine-tuning starts "
            "from a T2T-ViT or ViT"
        )
    return source


def like_its_source(config, source):
    """`config` with the model and the image size of the weights it starts from, and
    with how they saw pixels, unless that was as ImageNet's are; on the images of a run,
    with its share of validation, since the others have trained these weights."""
    height, width = source.size
    if config.image_size is None and height != width:
        raise ValueError(
            f"weights={config.weights!r} are for {height}x{width} px, but training "
            "uses square images: give image_size"
        )
    size, share = config.image_size or height, config.validation_share
    named = config.dataset or config.data_dir
    if share is None and named and source.run and same_images(vars(config), source.run):
        share = source.run["validation_share"]
    return dataclasses.replace(
        config,
        model=source.variant,
        image_size=size,
        normalization=config.normalization or normalization_of(source),
        validation_share=share,
    )


def share_elsewhere(source, dataset):
    """The share of validation of the run of these weights, if a data set that has one
    holds that run's images, from whatever folder: as many, of the same classes."""
    data = (source.run or {}).get("data") or {}
    images = sum(data.get(count, 0) for count in COUNTS)
    if dataset.num_shared is None or not has_these_classes(source, dataset):
        return None
    found = dataset.num_train + dataset.num_validation  # without corrupt ones
    return source.run["validation_share"] if images == found else None


def normalization_of(source):
    """The name of the mean and standard deviation by which a `Classifier` sees pixels;
    None for a file's that are ImageNet's, or that it does not tell."""
    if source.run is not None:
        return source.run["normalization"]
    for name, values in NORMALIZATIONS.items():
        if np.allclose(values, source.normalization, rtol=1e-3):
            return None if name == "imagenet" else name
    raise ValueError(
        f"{shown(source.weights)} is for pixels of mean and standard deviation "
        f"{source.normalization}: give normalization, one of "
        f"{', '.join(NORMALIZATIONS)}"
    )


def has_these_classes(source, dataset):
    """Whether weights are from a run on the classes of a data set."""
    if None in (source.run, source.class_names):
        return False
    return composed(source.class_names) == composed(dataset.class_names)


def start_from(model, source, config):
    """Gives a model the weights of `source`, except for heads that are to start fresh,
    even if the numbers of classes agree. Returns the line that says so."""
    heads = head_layers(model) if config.fresh_head is not False else []
    fresh = [(head, head.get_weights()) for head in heads]
    source.load(model)
    for head, weights in fresh:
        head.set_weights(weights)
    trained = "the head" if config.linear_probe else "all"
    if config.lora:
        trained = f"adapters of rank {config.lora} and the head"
    numbers = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return (
        f"Starting from {config.weights}{'' if heads else ' with its head'}, training "
        f"{trained}: {numbers:,} weights"
    )
